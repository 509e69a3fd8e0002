"""Reference networks. They know nothing of training."""

from models.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator

__all__ = ["SNDCGANDiscriminator", "SNDCGANGenerator"]
