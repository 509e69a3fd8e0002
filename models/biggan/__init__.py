"""BigGAN (Brock et al., 2019, arXiv 1809.11096): the original and the small one for CIFAR.

The small one is that of the DiffAugment experiments (data-efficient-gans,
DiffAugment-biggan-cifar): the defaults. At 32 px, width 64 and 10 classes it has 4,304,387
trainable parameters in the generator and 4,207,361 in the discriminator. The original is
`BigGANGenerator(128, width=96, num_classes=1000, latent_dim=120, shared_dim=128,
hierarchical=True, attention=64, init="orthogonal")` with 70,433,988, and `BigGANDiscriminator(128,
width=96, num_classes=1000, attention=64, init="orthogonal")` with 87,982,370, as compare_gan's
resnet_biggan.py counts them.
"""

from tf_diffaug.models.biggan.discriminator import BigGANDiscriminator
from tf_diffaug.models.biggan.generator import BigGANGenerator

__all__ = ["BigGANDiscriminator", "BigGANGenerator"]
