"""TF-GAN, where it imports."""

from __future__ import annotations

import warnings
from types import ModuleType


def import_tfgan() -> ModuleType | None:
    """Returns TF-GAN, or says why there is no ratio to it and returns None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_gan
    except (ImportError, AttributeError) as error:
        print(f"TF-GAN cannot be imported here ({error}): no ratio.")
        return None
    return tensorflow_gan
