"""The numbers of a generator, and the record without which they say nothing."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug.evaluation.evaluate import RealFeatures
from tf_diffaug.evaluation.extractor import Extractor
from tf_diffaug.evaluation.metrics import Moments, measure
from tf_diffaug.evaluation.statistics import Statistics
from tf_diffaug.images import to_uint8
from tf_diffaug.naming import unknown

# What the caller must say about the fakes and the reals, and which values it may have.
PROTOCOL = {
    "split": ("train", "test"),
    "ema": (True, False),
    "batch_norm": ("batch", "moving", "standing"),
    "labels": ("none", "uniform", "data"),
    "truncation": float,
    "step": int,
    "chosen_on_same_data": (True, False),
}
# Two FIDs that differ in one of these measure different things.
_COMPARABLE = ("features", "resize", "channels", "num_fakes", "num_reals", "split", "reference")


def evaluate_fid(
    sample: Callable[[int, int], Any],
    reference: Statistics,
    extractor: Extractor,
    *,
    num_fakes: int = 10_000,
    batch_size: int = 128,
    protocol: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the FID between samples and reference statistics, with its protocol.

    Args:
        sample: maps (batch_index, batch_size) to images in [-1, 1], shape (batch_size, height,
            width, channels). It is always asked for whole batches, so that batch statistics and
            compiled functions see one size; what exceeds `num_fakes` is left out.
        reference: of the reals, see `reference_statistics`.
        extractor: the one that made `reference`.
        num_fakes: how many samples, at least 2. The papers take 10,000 on CIFAR (5,000 low-shot).
        batch_size: samples at once.
        protocol: `split` ('train' or 'test', what the reference is of), `ema` (whether the averaged
            weights sampled), `batch_norm` ('batch', 'moving' or 'standing' statistics), `labels`
            (of the fakes: 'none', 'uniform' or by the 'data'), `truncation` (a number or None),
            `step` (of the checkpoint), `chosen_on_same_data` (whether the checkpoint was picked by
            its FID against these reals); all of them.

    Returns:
        `{'fid': float, 'protocol': {...}}`, ready for JSON. The protocol is the given one with
        `features` (name and version), `resize`, `channels`, `num_fakes`, `num_reals` and
        `reference` (a digest of the reals).

    Raises:
        ValueError: if the protocol lacks or has an unknown entry or value, or samples have another
            shape than asked for or are not finite, or the reference is of another extractor.
    """
    if reference.extractor not in (None, extractor.version):
        raise ValueError(
            "The reference statistics are of another extractor's features. "
            f"Received: {reference.extractor!r} and {extractor.name} {extractor.version!r}."
        )
    return evaluate_samples(
        sample,
        RealFeatures(Moments(reference), fingerprint=reference.fingerprint),
        extractor,
        ["fid"],
        num_fakes=num_fakes,
        batch_size=batch_size,
        protocol=protocol,
    )


def evaluate_samples(
    sample: Callable[[int, int], Any],
    reals: RealFeatures,
    extractor: Extractor,
    metrics: Sequence[str],
    *,
    num_fakes: int,
    batch_size: int,
    protocol: Mapping[str, Any],
    seed: int = 0,
) -> dict[str, Any]:
    """Returns all that metrics say of samples, of one pass of features, with the protocol.

    Args:
        sample: see `evaluate_fid`.
        reals: features of real images by `extractor`.
        extractor: what makes those of the samples.
        metrics: names, see `tf_diffaug.evaluation.metrics.METRICS`.
        num_fakes: how many samples, at least 2.
        batch_size: samples at once.
        protocol: see `evaluate_fid`.
        seed: of the metrics' own draws.

    Returns:
        A value by each metric's name, and what it states beside it, then `protocol` as that of
        `evaluate_fid`.

    Raises:
        ValueError: as `evaluate_fid` does, and for a metric that needs what there is not.
    """
    protocol = _checked_protocol(protocol)
    if num_fakes < 2 or batch_size < 1:
        raise ValueError(
            "num_fakes must be at least 2 and batch_size positive. "
            f"Received: {num_fakes=}, {batch_size=}."
        )
    batches = fake_batches(sample, num_fakes=num_fakes, batch_size=batch_size)
    fakes = reals.extract_alike(batches, extractor, num_fakes)
    return {
        **measure(reals.sets(fakes), metrics, seed=seed),
        "protocol": {
            **extractor.record(),
            "num_fakes": num_fakes,
            "num_reals": len(reals.reference),
            "reference": reals.fingerprint,
            **protocol,
        },
    }


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """Returns how much higher the FID of the second record is than that of the first.

    Raises:
        ValueError: if the two were measured differently: other features, counts, split or reals.
            Records of other weights, steps and batch-norm statistics may be compared: that is what
            comparing is for.
    """
    refuse_unlike(first["protocol"], second["protocol"])
    return float(second["fid"] - first["fid"])


def refuse_unlike(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    """Checks that two protocols measure the same thing; weights, steps and batch norms may differ.

    Raises:
        ValueError: if they do not, naming the first field that differs.
    """
    for key in _COMPARABLE:
        values = [protocol.get(key) for protocol in (first, second)]
        if values[0] != values[1]:
            raise ValueError(
                f"Measurements that differ in {key} cannot be compared. "
                f"Received: {key}={values[0]!r} and {values[1]!r}."
            )


def fake_batches(
    sample: Callable[[int, int], Any], *, num_fakes: int, batch_size: int, repeat: int = 0
) -> Iterator[tf.Tensor]:
    """Yields samples as uint8, in as many whole batches as hold `num_fakes`.

    Args:
        sample: see `evaluate_fid`.
        num_fakes: how many are wanted.
        batch_size: samples at once.
        repeat: how many times as many were drawn before; their batches are not drawn again.

    Raises:
        ValueError: if samples have another shape than asked for or are not finite.
    """
    count = -(-num_fakes // batch_size)
    for index in range(repeat * count, (repeat + 1) * count):
        yield to_uint8(_checked_sample(sample, index, batch_size))


def _checked_sample(sample: Callable[[int, int], Any], index: int, batch_size: int) -> tf.Tensor:
    images = tf.convert_to_tensor(sample(index, batch_size))
    if images.shape.rank != 4 or images.shape[0] != batch_size or not images.dtype.is_floating:
        raise ValueError(
            f"Samples must be floats of shape ({batch_size}, height, width, channels). "
            f"Received: dtype={images.dtype.name}, shape={images.shape} for batch {index}."
        )
    if not bool(tf.reduce_all(tf.math.is_finite(images))):
        raise ValueError(f"Samples are not finite. Received: batch {index} with NaN or infinity.")
    return images


def _checked_protocol(protocol: Mapping[str, Any]) -> dict[str, Any]:
    for key in protocol:
        if key not in PROTOCOL:
            raise ValueError(unknown("protocol entry", key, PROTOCOL))
    missing = [key for key in PROTOCOL if key not in protocol]
    if missing:
        raise ValueError(
            f"The protocol lacks {', '.join(missing)}: a number without its protocol is not a "
            f"result. Received: protocol={dict(protocol)}."
        )
    return {key: _checked_entry(key, protocol[key]) for key in PROTOCOL}


def _checked_entry(key: str, value: Any) -> Any:
    """A value of the protocol as one that goes into JSON, which NumPy's and TensorFlow's do not."""
    allowed = PROTOCOL[key]
    is_bool = isinstance(value, (bool, np.bool_))
    if isinstance(allowed, tuple):
        # 1 is equal to True, and an array to nothing.
        alike = is_bool if True in allowed else isinstance(value, str)
        if alike and value in allowed:
            return bool(value) if is_bool else str(value)
        words = " or ".join(map(repr, allowed))
    elif allowed is float and value is None:
        return None
    else:
        convert, words = {
            float: (float, "a finite number or None"),
            int: (operator.index, "an integer"),
        }[allowed]
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            if not (is_bool or isinstance(value, (str, bytes))) and np.isfinite(convert(value)):
                return convert(value)
    raise ValueError(f"{key} must be {words}. Received: {key}={value!r}.")
