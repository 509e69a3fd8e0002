"""Watching whether the augmentation leaks into samples, at each evaluation of a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tqdm.auto import tqdm

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, Policy, parse_policy
from tf_diffaug.data import ImageData
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
    samples that are like neither plain nor augmented reals. Where the probe cannot tell these from
    each other, or from what is neither, the verdict is "not watched" and all that there is;
    without a policy there is none.

    The probe is trained when this is made; an evaluation only asks it. Of few training images it
    would learn these rather than what such images look like, so it takes held-out ones if there
    are more.

    Args:
        evaluate: from the GAN to a record.
        config: the settings.
        data: the reals.
        sampler: makes the samples.
    """

    def __init__(
        self, evaluate: Evaluate, config: Config, data: ImageData, sampler: Sampler
    ) -> None:
        self._evaluate = evaluate
        self._config = config
        self._sampler = sampler
        policy = parse_policy(config.policy)
        self._gauge = _gauge(policy, data, config.seed) if policy.ops else None
        self._unwatched = {"leak_verdict": "not watched"} if policy.ops else {}

    def __call__(self, gan: GAN) -> dict[str, Any]:
        record = self._evaluate(gan)
        if self._gauge is None:
            return record | self._unwatched
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


def _gauge(policy: Policy, data: ImageData, seed: int) -> LeakGauge | None:
    """A probe of the larger split, None if it is of no use."""
    images = max((data.images, data.test), key=lambda images: 0 if images is None else len(images))
    if len(images) < _FEWEST_IMAGES:
        return None
    augmenter = DiffAugment(policy, data_format="channels_last", seed=seed)
    gauge = LeakGauge(images, augmenter, seed=seed)
    return gauge if gauge.is_usable else None
