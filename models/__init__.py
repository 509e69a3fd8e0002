"""Reference networks. They know nothing of training."""

from models.biggan import BigGANDiscriminator, BigGANGenerator
from models.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator
from models.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator

__all__ = [
    "BigGANDiscriminator",
    "BigGANGenerator",
    "SNDCGANDiscriminator",
    "SNDCGANGenerator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
]
