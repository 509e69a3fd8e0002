"""The ops of the policy language, one file an op or a small family; each registers itself.

A file that lies here is imported with the package: it is all that a new op takes. Defaults are
those of "Differentiable Augmentation for Data-Efficient GAN Training" (arXiv:2006.10738), in the
authors' code; strengths `s` are the lambda of "Image Augmentations for GAN Training"
(arXiv:2006.02595).
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
