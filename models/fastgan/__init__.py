"""FastGAN (Liu et al., 2021, arXiv 2101.04775), 32 to 1024 px, in powers of two.

Architecture, constants and initial weights are those of the authors' PyTorch code
(odegeasslbc/FastGAN-pytorch, models.py and train.py at 04524ef of 2021-08-01, which is 256 px and
up), read in forks that keep their commits: what is under their name today is another's. The
networks below 256 px are ours: what stands at larger sides is left out. These differ:

- G makes one image. Theirs makes a second one of 128 px, by a 1 × 1 convolution of 192 weights,
  and augments the two by draws of their own; D here takes both from the image that it is shown, as
  theirs does of reals.
- tanh at every resolution. Theirs has it at 1024 px alone.
- D's decoders belong to the regularizer `reconstruction`.
- Gains of batch norms start at 1, not at N(1, 0.02).
"""

from tf_diffaug.models.fastgan.discriminator import FastGANDiscriminator
from tf_diffaug.models.fastgan.generator import FastGANGenerator

__all__ = ["FastGANDiscriminator", "FastGANGenerator"]
