"""StyleGAN2 (Karras et al., 2020, arXiv 1912.04958), 4 px and up, in powers of two.

Architectures, constants and initial weights are those of NVIDIA's TensorFlow code
(`networks_stylegan2.py`), which DiffAugment's setups use. At resolution r a layer has
min(width · resolution / r, max_channels) channels: NVIDIA's `fmap_base` is width · resolution / 2.
A width of 128 at 32 px is DiffAugment's CIFAR setup, 128 at 256 px its 100-shot one.
"""

from tf_diffaug.models.stylegan2.discriminator import StyleGAN2Discriminator
from tf_diffaug.models.stylegan2.generator import StyleGAN2Generator

__all__ = ["StyleGAN2Discriminator", "StyleGAN2Generator"]
