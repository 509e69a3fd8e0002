"""Watching whether the augmentation leaks into samples, at each evaluation of a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, parse_policy
from tf_diffaug.evaluation.leak import LeakGauge
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.sampler import Sampler
from tf_diffaug.training import GAN

Evaluate = Callable[[GAN], dict[str, Any]]

_SAMPLES = 512
_BATCH = 128
_FEWEST_IMAGES = 32


class LeakWatch:
    """An evaluation whose record also says how much of the augmentation the samples show.

    Its record has `leak`, `leak_threshold`, `leak_neither` and `leak_verdict` as well, see `Leak`;
    a line on standard error says when the first is past the second. These two are left out of
    samples that are like neither plain nor augmented reals, and all four where the probe cannot
    tell these.

    The probe is trained when this is made; an evaluation only asks it.

    Args:
        evaluate: from the GAN to a record.
        config: the settings; a run without a policy, or of a few images, is not watched.
        images: the reals, uint8.
        sampler: makes the samples.
    """

    def __init__(
        self, evaluate: Evaluate, config: Config, images: np.ndarray, sampler: Sampler
    ) -> None:
        self._evaluate = evaluate
        self._config = config
        self._sampler = sampler
        self._gauge = _gauge(config, images)

    def __call__(self, gan: GAN) -> dict[str, Any]:
        record = self._evaluate(gan)
        if self._gauge is None:
            return record
        leak = self._gauge(self._samples())
        if leak.is_leaking:
            tqdm.write(
                f"Warning: the augmentation shows in {leak.share:.0%} of the samples at step "
                f"{int(gan.step.numpy()):,}, more than chance ({leak.threshold:.0%}): "
                f"{self._config.policy} leaks into them.",
                file=sys.stderr,
            )
        found = {
            "leak": leak.share,
            "leak_threshold": leak.threshold,
            "leak_neither": leak.neither,
            "leak_verdict": leak.verdict,
        }
        return record | {name: value for name, value in found.items() if value is not None}

    def _samples(self) -> tf.Tensor:
        seeds = [
            random.derive(self._config.seed, "probe", step=index)
            for index in range(_SAMPLES // _BATCH)
        ]
        return tf.concat([self._sampler(_BATCH, seed) for seed in seeds], axis=0)


def _gauge(config: Config, images: np.ndarray) -> LeakGauge | None:
    policy = parse_policy(config.policy)
    if not policy.ops or len(images) < _FEWEST_IMAGES:
        return None
    augmenter = DiffAugment(policy, data_format="channels_last", seed=config.seed)
    gauge = LeakGauge(images, augmenter, seed=config.seed)
    return gauge if gauge.is_usable else None
