"""The FID of a run, in the protocol that its settings say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.data import ImageData
from tf_diffaug.errors import UserError
from tf_diffaug.evaluation import (
    evaluate_fid,
    extractor_for,
    reference_statistics,
)
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.sampler import Sampler
from tf_diffaug.training import GAN

# Any size gives the same features; larger ones only take more memory.
_BATCH = 128


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Measures the FID of a GAN in one fixed protocol.

    Args:
        config: the settings.
        extractor: what makes the features.
        split: which reals the reference is of, `train` or `test`.
        reference: their statistics.
        sampler: makes the fakes.
    """

    config: Config
    extractor: Any
    split: str
    reference: Any
    sampler: Sampler

    def __call__(self, gan: GAN) -> dict[str, Any]:
        """Returns `{'fid': ..., 'protocol': ...}` of the GAN that the sampler samples."""
        return evaluate_fid(
            self.fakes(),
            self.reference,
            self.extractor,
            num_fakes=self.config.num_fakes,
            batch_size=self.batch_size,
            protocol=self.protocol(gan),
        )

    def fakes(self) -> Callable[[int, int], tf.Tensor]:
        """Samples as `evaluate_fid` asks for them, a function of the seed and the batch's index."""
        seed = self.config.seed
        return lambda index, count: self.sampler(count, random.derive(seed, "sample", step=index))

    @property
    def batch_size(self) -> int:
        """Samples at once."""
        return fakes_at_once(self.config)

    def protocol(self, gan: GAN) -> dict[str, Any]:
        """What the settings say of how samples are made and measured, see `evaluate_fid`."""
        return protocol_of(self.config, self.split, gan)


def fakes_at_once(config: Config) -> int:
    """Samples that are made together to be measured."""
    # Batch statistics depend on the batch: that of training, as in the papers' code.
    return config.batch_size if config.eval_batch_norm == "batch" else _BATCH


def protocol_of(config: Config, split: str, gan: GAN) -> dict[str, Any]:
    """What the settings say of how samples are made and measured, see `evaluate_fid`."""
    return {
        "split": split,
        "ema": config.eval_ema and gan.ema_generator is not None,
        "batch_norm": config.eval_batch_norm,
        "labels": config.fake_labels if config.conditional else "none",
        "truncation": config.truncation,
        "step": int(gan.step.numpy()),
        "chosen_on_same_data": False,
    }


def make_evaluator(
    config: Config, data: ImageData, sampler: Sampler, *, cache: bool = True
) -> Evaluator | None:
    """Loads the extractor and the reference at once, so that a missing one is said now.

    Args:
        config: the settings.
        data: the images.
        sampler: makes the fakes.
        cache: whether the reference's statistics may be kept in the user's cache directory.

    Raises:
        ValueError: if the extractor cannot be had, or there is no split as asked.
    """
    if config.fid_features == "none":
        return None
    split, images = reference_images(config, data)
    extractor = extractor_for(config.fid_features, config.dataset, images.shape[1])
    reference = reference_statistics(images, extractor, cache_dir="auto" if cache else None)
    return Evaluator(config, extractor, split, reference, sampler)


def reference_images(config: Config, data: ImageData) -> tuple[str, np.ndarray]:
    """The split an FID is measured against, and its images.

    Raises:
        UserError: if the data has no test images and they were asked for, or too few.
    """
    if config.fid_split == "test" and data.test is None:
        raise UserError(
            f"{config.dataset} has no test images. Received: --fid_split=test. "
            "Choose train or auto."
        )
    split = config.fid_split
    if split == "auto":
        split = "train" if data.test is None else "test"
    images = data.images if split == "train" else data.test
    if len(images) < 2:
        raise UserError(
            f"an FID is against 2 images or more: add --fid_features=none. "
            f"Received: {len(images)} image of the {split} split."
        )
    return split, images
