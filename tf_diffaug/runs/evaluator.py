"""What a run measures while it trains, in the protocol that its settings say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.data import ImageData
from tf_diffaug.evaluation import Extractor
from tf_diffaug.evaluation.fid import evaluate_samples
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.reals import Progress, Reals, check_evaluation
from tf_diffaug.runs.sampler import Sampler
from tf_diffaug.training import GAN

# Any size gives the same features; larger ones only take more memory.
_BATCH = 128


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Measures a GAN by the metrics of a run, in one fixed protocol.

    Args:
        config: the settings.
        reals: what is known of the real images.
        sampler: makes the fakes.
    """

    config: Config
    reals: Reals
    sampler: Sampler

    def __call__(self, gan: GAN) -> dict[str, Any]:
        """Returns `{'fid': ..., 'protocol': ...}` of the GAN that the sampler samples.

        A value by each metric's name, and what it states beside it, in the order of the names.
        """
        step = int(gan.step.numpy())
        return evaluate_samples(
            self.fakes(),
            self.reals.features,
            self.extractor,
            self.config.metric_names,
            num_fakes=self.config.num_fakes,
            batch_size=self.batch_size,
            protocol=self.protocol(gan),
            # Of the seed and the step alone, so that a resumed run draws the same.
            seed=random.derive_int(self.config.seed, "evaluation", index=step),
        )

    @property
    def extractor(self) -> Extractor:
        """What makes the features."""
        return self.reals.extractor

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
        return protocol_of(self.config, self.reals.split, gan)


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
    config: Config,
    data: ImageData,
    sampler: Sampler,
    *,
    cache: bool = True,
    progress: Progress = lambda done, total: None,
) -> Evaluator | None:
    """Loads the extractor and looks at the reals at once, so that what is missing is said now.

    Args:
        config: the settings.
        data: the images.
        sampler: makes the fakes.
        cache: whether what is known of the reals may be kept in the user's cache directory.
        progress: told how many of the reals are done, of how many.

    Raises:
        ValueError: if the extractor cannot be had, there is no split as asked, or a metric needs
            what there is not.
    """
    check_evaluation(config, data)
    if config.fid_features == "none":
        return None
    reals = Reals(config, data, config.metric_names, cache=cache, progress=progress)
    return Evaluator(config, reals, sampler)
