"""A linear classifier on D's features, which D's optimizer trains."""

from __future__ import annotations

import keras
import tensorflow as tf

from tf_diffaug._keras import raw_variables, sublayers
from tf_diffaug.layers import SpectralNormalization, advance_power_iteration
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import feature_size, weights_seed


class Classifier:
    """Logits of classes from D's features: one layer, spectrally normalized if layers of D are.

    That last is what compare_gan's SS-GAN and S3GAN do (ssgan.py, s3gan.py: `use_sn`), whose
    kernel starts as the network's do; this one starts as Glorot's.

    Args:
        networks: the networks.
        name: the regularizer's that owns it.
        classes: how many there are.

    Raises:
        ValueError: if D gives no features.
    """

    def __init__(self, networks: Networks, name: str, classes: int) -> None:
        size = feature_size(networks, name)
        seed = weights_seed(networks, name, "classifier")
        initializer = keras.initializers.GlorotUniform(seed=seed)
        self.layer = keras.layers.Dense(
            classes, kernel_initializer=initializer, dtype="float32", name=f"{name}_classifier"
        )
        if sublayers(networks.discriminator, SpectralNormalization):
            self.layer = SpectralNormalization(self.layer, seed=seed)
        self.layer.build((None, size))

    def __call__(self, outputs: Outputs) -> tf.Tensor:
        """Logits, float32 (batch, classes), of what D said of some images."""
        return self.layer(tf.cast(outputs.features, tf.float32))

    def cross_entropy(self, outputs: Outputs, labels: tf.Tensor) -> tf.Tensor:
        """-log of the probability of each label, float32 (batch,).

        Args:
            outputs: D's, with features.
            labels: int32 (batch,), each a class.
        """
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self(outputs))

    def advance(self) -> None:
        """Advances the layer's power iteration, if it has one: once in each update of D."""
        advance_power_iteration(self.layer)

    @property
    def trainable_variables(self) -> list:
        """What D's optimizer trains."""
        return list(self.layer.trainable_variables)

    @property
    def variables(self) -> list:
        """What a checkpoint holds."""
        return raw_variables(self.layer)
