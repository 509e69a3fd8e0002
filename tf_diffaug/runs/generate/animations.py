"""Moving pictures of a run: from image to image, from class to class."""

from __future__ import annotations

import numpy as np

from tf_diffaug.runs.generate.abilities import refuse_unable
from tf_diffaug.runs.generate.classes import spread_classes
from tf_diffaug.runs.generate.pictures import Animation, scale_of
from tf_diffaug.runs.generate.source import ImageSource
from tf_diffaug.training.calls import has_uniform_latents

# Pixels of an animation's side: larger files are a burden to whoever opens them.
_SIDE = 512


def interpolation(
    source: ImageSource, *, count: int | None = None, stops: int = 4, frames: int = 20
) -> Animation:
    """Images on their way through latent space, and back to where they began.

    Normal latents move along the arc between two of them, so that they keep their length (White,
    arXiv 1609.04468); uniform ones move along the line. Each image keeps its class.

    Args:
        source: where the images come from.
        count: images side by side; by default 16, or fewer of large ones.
        stops: images of the source that each passes.
        frames: from one to the next.

    Raises:
        ValueError: for a count, stops or frames below 1, or images that are not finite.
    """
    count = _fitting(source) if count is None else count
    _check_positive(count=count, stops=stops, frames=frames)
    between = linear if has_uniform_latents(source.run.gan.generator) else spherical
    latents = source.latents(range(count * stops)).reshape(stops, count, -1)
    shares = np.arange(frames, dtype=np.float32)[:, None, None] / frames
    path = np.concatenate(
        [between(latents[k], latents[(k + 1) % stops], shares) for k in range(stops)]
    )
    labels = source.labels(range(count))
    labels = None if labels is None else np.tile(labels, len(path))
    images = source.render(path.reshape(-1, path.shape[-1]), labels)
    return Animation(images.reshape(len(path), count, *images.shape[1:]))


def class_interpolation(
    source: ImageSource, *, count: int | None = None, frames: int = 16, most: int = 6
) -> Animation:
    """Images of fixed latents that go from class to class, and back to the first.

    Halfway between two classes the generator has the mean of their embeddings, or of whatever it
    looks up by the label.

    Args:
        source: its classes in order, or without any all of the run.
        count: images side by side; by default 16, or fewer of large ones.
        frames: from one class to the next.
        most: without classes of the source, how many of the run's there are, spread over all.

    Raises:
        ValueError: for an unconditional run, a generator that takes no mixture of classes, fewer
            than two of them, or a count or frames below 1.
    """
    count = _fitting(source) if count is None else count
    _check_positive(count=count, frames=frames)
    refuse_unable(source, "class_interpolation")
    labels = source.classes or spread_classes(source.num_classes, most)
    rows = np.eye(source.num_classes, dtype=np.float32)[labels]
    shares = np.arange(frames, dtype=np.float32)[:, None] / frames
    path = np.concatenate(
        [linear(rows[k], rows[(k + 1) % len(rows)], shares) for k in range(len(rows))]
    )
    latents = np.tile(source.latents(range(count)), (len(path), 1))
    images = source.render(latents, np.repeat(path, count, axis=0))
    names = [source.class_name(label) for label in labels]
    captions = [
        f"{name} > {following}"
        for name, following in zip(names, [*names[1:], names[0]], strict=True)
        for _ in range(frames)
    ]
    return Animation(images.reshape(len(path), count, *images.shape[1:]), captions)


def linear(start: np.ndarray, stop: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The point of a line at a share of its way."""
    return start + share * (stop - start)


def spherical(start: np.ndarray, stop: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The point of an arc at a share of its way: sin((1-t)φ)/sin φ · a + sin(tφ)/sin φ · b.

    φ is the angle between a and b (White, arXiv 1609.04468, section 2.1). Where that is nearly 0 or
    half a turn, there is no one arc: the point is the line's.

    Args:
        start: a, float (..., dim).
        stop: b, of the same shape.
        share: t in [0, 1], of a shape that broadcasts with them.
    """
    lengths = np.linalg.norm(start, axis=-1, keepdims=True)
    lengths = lengths * np.linalg.norm(stop, axis=-1, keepdims=True)
    cosine = (start * stop).sum(-1, keepdims=True) / np.maximum(lengths, 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.sin(angle)
    is_arc = sine > 1e-3
    safe = np.where(is_arc, sine, 1)
    arc = np.sin((1 - share) * angle) / safe * start + np.sin(share * angle) / safe * stop
    return np.where(is_arc, arc, linear(start, stop, share)).astype(start.dtype)


def _fitting(source: ImageSource) -> int:
    side = source.run.config.resolution
    return max(1, min(4, _SIDE // (side * scale_of(side)))) ** 2


def _check_positive(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"`{name}` is at least 1. Received: {name}={value}.")
