"""Train GANs with little data, in TensorFlow and Keras.

>>> from tf_diffaug import DiffAugment
>>> layer = DiffAugment("color,translation,cutout")
"""

from __future__ import annotations

import importlib
import pathlib
import re
from typing import TYPE_CHECKING, Any

from tf_diffaug._lazy import getter
from tf_diffaug._registration import register_with_keras

__version__ = "0.1.0"

# Where each public name lives. They are imported when first asked for, so that a script can answer
# a wrong flag before TensorFlow is loaded.
_HOME = {
    "BatchNorm": "layers",
    "ConditionalBatchNorm": "layers",
    "DiffAugment": "augment",
    "EMA": "training",
    "GAN": "training",
    "SelfAttention": "layers",
    "SpectralNormalization": "layers",
    "advance_power_iteration": "layers",
    "frechet_distance": "evaluation",
    "load_run": "runs",
    "parse_policy": "augment",
}
__all__ = [
    "EMA",
    "GAN",
    "BatchNorm",
    "ConditionalBatchNorm",
    "DiffAugment",
    "SelfAttention",
    "SpectralNormalization",
    "advance_power_iteration",
    "frechet_distance",
    "load_run",
    "parse_policy",
]


def _op_layers() -> list[str]:
    """The layers of the package's ops, by the text of the files that the ops lie in."""
    files = sorted(pathlib.Path(__file__).with_name("augment").glob("ops/*.py"))
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return re.findall(r"^class ([A-Z]\w*)Op\(", text, re.MULTILINE)


_HOME |= dict.fromkeys(_op_layers(), "augment")
__all__ += sorted(_op_layers())

if TYPE_CHECKING:
    from tf_diffaug.augment import DiffAugment, parse_policy
    from tf_diffaug.evaluation import frechet_distance
    from tf_diffaug.layers import (
        BatchNorm,
        ConditionalBatchNorm,
        SelfAttention,
        SpectralNormalization,
        advance_power_iteration,
    )
    from tf_diffaug.runs import load_run
    from tf_diffaug.training import EMA, GAN

_public = getter(__name__, _HOME)


def __getattr__(name: str) -> Any:
    # The layer of a user's own op. Other names, as of a submodule, do not wait for TensorFlow.
    if name not in _HOME and name[:1].isupper():
        layers = importlib.import_module(f"{__name__}.augment").registered_layers()
        if name in layers:
            return layers[name]
    return _public(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])


register_with_keras()
