"""Reference networks. They know nothing of training.

`tf_diffaug/models` links here, and `tf_diffaug.models` is the one name to import them by: Keras
would register each class twice if there were two.
"""

if __name__ != "tf_diffaug.models":
    raise ImportError(f"Import these networks as tf_diffaug.models. Received: {__name__}.")

from tf_diffaug.models.base import freeze_blocks
from tf_diffaug.models.biggan import BigGANDiscriminator, BigGANGenerator
from tf_diffaug.models.fastgan import FastGANDiscriminator, FastGANGenerator
from tf_diffaug.models.r3gan import R3GANDiscriminator, R3GANGenerator
from tf_diffaug.models.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator
from tf_diffaug.models.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator

__all__ = [
    "BigGANDiscriminator",
    "BigGANGenerator",
    "FastGANDiscriminator",
    "FastGANGenerator",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "SNDCGANDiscriminator",
    "SNDCGANGenerator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "freeze_blocks",
]
