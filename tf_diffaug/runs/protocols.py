"""Evaluation protocols that have a name, as settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Settings by the protocol's name: arXiv 2006.10738's for CIFAR (its code's fid10k), StyleGAN2's and
# later papers' (50,000 against the training images), and arXiv 2006.10738's for few images.
PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    "diffaugment": {
        "num_fakes": 10_000,
        "fid_split": "test",
        "eval_ema": True,
        "eval_batch_norm": "batch",
    },
    "full": {"num_fakes": 50_000, "fid_split": "train", "eval_ema": True},
    "low-shot": {"num_fakes": 5_000, "fid_split": "train", "eval_ema": True},
}
