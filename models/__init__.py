"""Reference networks. They know nothing of training."""

from models.biggan import BigGANDiscriminator, BigGANGenerator
from models.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator

__all__ = [
    "BigGANDiscriminator",
    "BigGANGenerator",
    "SNDCGANDiscriminator",
    "SNDCGANGenerator",
]
