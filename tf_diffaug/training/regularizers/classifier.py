"""Linear layers on D's features, which D's optimizer trains."""

from __future__ import annotations

import keras
import tensorflow as tf

from tf_diffaug._keras import raw_variables, sublayers
from tf_diffaug.layers import SpectralNormalization, advance_power_iteration
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import feature_size, weights_seed


class Head:
    """One linear layer on D's features, spectrally normalized if layers of D are.

    That last is what compare_gan's SS-GAN and S3GAN do (ssgan.py, s3gan.py: `use_sn`) and AugSelf's
    BigGAN (`which_linear`), whose kernels start as the networks' do; this one starts as Glorot's.

    Args:
        networks: the networks.
        owner: the name of the regularizer that owns it.
        units: how many numbers it makes of an image's features.
        name: of the head among the owner's.

    Raises:
        ValueError: if D gives no features.
    """

    def __init__(self, networks: Networks, owner: str, units: int, name: str) -> None:
        size = feature_size(networks, owner)
        seed = weights_seed(networks, owner, name)
        initializer = keras.initializers.GlorotUniform(seed=seed)
        self.layer = keras.layers.Dense(
            units, kernel_initializer=initializer, dtype="float32", name=f"{owner}_{name}"
        )
        if sublayers(networks.discriminator, SpectralNormalization):
            self.layer = SpectralNormalization(self.layer, seed=seed)
        self.layer.build((None, size))

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Its numbers, float32 (batch, units), of features (batch, length)."""
        return self.layer(tf.cast(features, tf.float32))

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


class Classifier(Head):
    """Logits of classes from D's features.

    Args:
        networks: the networks.
        owner: the name of the regularizer that owns it.
        classes: how many there are.

    Raises:
        ValueError: if D gives no features.
    """

    def __init__(self, networks: Networks, owner: str, classes: int) -> None:
        super().__init__(networks, owner, classes, "classifier")

    def cross_entropy(self, outputs: Outputs, labels: tf.Tensor) -> tf.Tensor:
        """-log of the probability of each label, float32 (batch,).

        Args:
            outputs: D's, with features.
            labels: int32 (batch,), each a class.
        """
        logits = self(outputs.features)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
