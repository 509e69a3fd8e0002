"""R3GAN (Huang et al., 2024, arXiv 2501.05441): residual bottlenecks without any normalisation.

Architectures, constants and initial weights are those of the authors' code (brownvc/R3GAN,
`R3GAN/Networks.py` and the presets of `train.py`), configuration E of the paper. Maps have `width`
channels up to 32 px, and half as many at each doubling after that: a width of 768 is that of the
CIFAR-10 and FFHQ presets, 1536 with a cardinality of 96 that of ImageNet at 32 px, and with
`full_width_until=64` at 64 px.
"""

from tf_diffaug.models.r3gan.discriminator import R3GANDiscriminator
from tf_diffaug.models.r3gan.generator import R3GANGenerator

__all__ = ["R3GANDiscriminator", "R3GANGenerator"]
