"""S3GAN's few labels: D's features predict the labels that are missing."""

from __future__ import annotations

import weakref

import tensorflow as tf

from tf_diffaug.training.calls import NO_LABEL, call_discriminator
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Batch, Regularizer
from tf_diffaug.training.regularizers.classifier import Classifier
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import global_mean, sum_over_replicas


@register_regularizer
class S3GAN(Regularizer):
    """weight · -log C(y | x) on labelled reals; C labels the others (arXiv 1903.02271, S2GAN-CO).

    C is a linear layer of its own on D's features, trained with D. Reals whose label is -1 are
    shown to D with C's likeliest class, which gets no gradient. This is the paper's co-training;
    with `ssgan` beside it (`s3gan,ssgan`) it is its S3GAN-CO. The term is a mean over the labelled
    reals of the global batch, 0 where there are none.

    The authors' code (compare_gan, s3gan.py) reads C off the very pass that judges the image. Here
    D takes one more, without a gradient, of the plain reals: D's head comes with its labels, and
    the augmentation may hide what a class is seen by. Soft predictions, an option there, are not
    offered, nor are labels that a network trained beforehand predicts (the paper's S2GAN).

    Args:
        weight: of the cross-entropy; 1 in the authors' code.
    """

    name = "s3gan"
    summary = "D's features are to tell the class, which then labels the reals that have none"
    term = "-log C(y \\| x) of labelled reals; C labels the others; not with `apa`"
    source = "1903.02271"
    needs_features = True
    fills_labels = True
    excludes = ("apa",)  # whose fakes would teach C

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(weight)
        # Which reals came with a label, by update: replicas are traced one after the other and
        # not to the end, so that one attribute would be another replica's.
        self._known: weakref.WeakKeyDictionary[Draws, tf.Tensor] = weakref.WeakKeyDictionary()

    def build(self, networks: Networks) -> None:
        if networks.num_classes is None:
            raise ValueError(
                f"{self.name} is about labels: the networks must be conditional. "
                "Received: num_classes=None."
            )
        self._classifier = Classifier(networks, self.name, networks.num_classes)

    def exchange_reals(self, networks: Networks, draws: Draws, reals: Batch, fakes: Batch) -> Batch:
        del fakes
        self._classifier.advance()
        images, labels = reals
        known = labels != NO_LABEL
        self._known[draws] = known
        # D's features are asked for, not its logits: any class will do.
        some = tf.where(known, labels, 0)
        outputs = call_discriminator(networks.discriminator, images, some, features=True)
        predicted = tf.argmax(self._classifier(outputs.features), axis=1, output_type=labels.dtype)
        return images, tf.where(known, labels, tf.stop_gradient(predicted))

    def discriminator_term(self, update: Update) -> tf.Tensor:
        shown = update.mode.d_real
        known = tf.cast(self._known[update.draws], tf.float32)
        values = self._classifier.cross_entropy(update.outputs[shown], update.views.labels(shown))
        share = sum_over_replicas({"known": global_mean(known)})["known"]
        # The step takes the mean over all rows: that of these is the mean over the labelled ones.
        return self.weight_at(update) * tf.math.divide_no_nan(known * values, share)

    @property
    def trainable_variables(self) -> list:
        return self._classifier.trainable_variables

    @property
    def variables(self) -> list:
        return self._classifier.variables
