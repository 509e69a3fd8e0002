"""Where the images of a finished run come from: number i of a seed is always the same one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.images import to_uint8
from tf_diffaug.runs.generate.classes import class_name, resolve_classes
from tf_diffaug.runs.run import Run

Progress = Callable[[int, int], None]

# Images made at once have together as many pixels as 64 of 64x64: some hundred MB of activations.
_PIXELS_AT_ONCE = 64**3


class ImageSource:
    """Images of a run, number after number, and images of latents and labels of one's own.

    Image number i is a function of the weights, the seed, i, the truncation and the classes alone:
    its latents, and its label if none is asked for, are drawn by a seed of its own; batch norms use
    averages or standing statistics, never a batch's (`Run.steady_sampler`); StyleGAN2's noise is
    the same for every image. Images are made so many at a time, always as many and at the same
    place among them, so that they are equal to the bit however many are asked for.

    Args:
        run: the run, see `load_run`.
        seed: of the images; by default the run's.
        truncation: in place of the run's own, see `Sampler`.
        classes: numbers or names of the classes that images are of in turn; by default labels are
            drawn as in training.
        progress: called with how many of a call's images are made, of how many.

    Raises:
        ValueError: for a seed below 0, a class that is not known, or a truncation that the
            generator does not have.
    """

    def __init__(
        self,
        run: Run,
        *,
        seed: int | None = None,
        truncation: float | None = None,
        classes: Sequence[int | str] | None = None,
        progress: Progress = lambda done, total: None,
    ) -> None:
        self.run = run
        self.seed = run.seed if seed is None else seed
        if self.seed < 0:
            raise ValueError(f"A seed is 0 or above. Received: seed={seed}.")
        self.truncation = run.config.truncation if truncation is None else truncation
        self.classes = resolve_classes(run, classes)
        self.sampler = run.steady_sampler(self.truncation)
        self.progress = progress

    def replaced(
        self, *, truncation: float | None = None, progress: Progress | None = None
    ) -> ImageSource:
        """The same images at another truncation, or told to another."""
        return ImageSource(
            self.run,
            seed=self.seed,
            truncation=self.truncation if truncation is None else truncation,
            classes=self.classes,
            progress=self.progress if progress is None else progress,
        )

    @property
    def num_classes(self) -> int | None:
        """The number of classes, None of an unconditional run."""
        return self.run.gan.num_classes

    def class_name(self, label: int) -> str:
        """The name of a class, its number if it has none."""
        return class_name(self.run, label)

    @functools.cached_property
    def chunk(self) -> int:
        """Images made at once."""
        return max(1, min(64, _PIXELS_AT_ONCE // self.run.config.resolution**2))

    def latents(self, numbers: Sequence[int]) -> np.ndarray:
        """The latents of images by their numbers, float32 (n, latent_dim)."""
        return self._draw_latents(tf.constant(list(numbers), tf.int64)).numpy()

    def labels(self, numbers: Sequence[int]) -> np.ndarray | None:
        """Their labels, int32 (n,); None of an unconditional run."""
        if self.num_classes is None:
            return None
        if self.classes is not None:
            return np.array([self.classes[i % len(self.classes)] for i in numbers], np.int32)
        return self._draw_labels(tf.constant(list(numbers), tf.int64)).numpy()

    def images(self, count: int, *, start: int = 0) -> np.ndarray:
        """Images number `start` and on, uint8 (count, height, width, channels).

        Raises:
            ValueError: for a count below 1, a start below 0, or images that are not finite.
        """
        return np.concatenate([images for images, _ in self.batches(count, start=start)])

    def batches(
        self, count: int, *, start: int = 0
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yields images number `start` and on, some at a time, with their labels.

        Raises:
            ValueError: as `images`.
        """
        if count < 1 or start < 0:
            raise ValueError(
                "The count is at least 1 and the start at least 0. "
                f"Received: count={count}, start={start}."
            )
        stop, done = start + count, 0
        for first in range(start - start % self.chunk, stop, self.chunk):
            numbers = range(first, first + self.chunk)
            labels = self.labels(numbers)
            kept = slice(max(start - first, 0), min(stop - first, self.chunk))
            images = self._make(self.latents(numbers), labels)[kept]
            done += len(images)
            self.progress(done, count)
            yield images, None if labels is None else labels[kept]

    def render(self, latents: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Images of given latents, uint8 (n, height, width, channels).

        Args:
            latents: float32 (n, latent_dim).
            labels: int32 (n,), or float32 (n, num_classes), the weight of each class.

        Raises:
            ValueError: if they are not finite.
        """
        return self.in_chunks(self._make, latents, labels)

    def in_chunks(self, make: Callable[..., np.ndarray], *arrays: np.ndarray | None) -> np.ndarray:
        """What `make` makes of arrays, given so many rows at a time, the last ones filled up."""
        count, made = len(arrays[0]), []
        for first in range(0, count, self.chunk):
            rows = np.minimum(np.arange(first, first + self.chunk), count - 1)
            parts = [None if array is None else array[rows] for array in arrays]
            made.append(make(*parts)[: count - first])
            self.progress(min(first + self.chunk, count), count)
        return np.concatenate(made)

    def _make(self, latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        return finite_uint8(self.sampler.generate(latents, labels, seed=None))

    @functools.cached_property
    def _draw_latents(self) -> Callable[[tf.Tensor], tf.Tensor]:
        return self._drawn(lambda seed: self.sampler.latents(1, seed)[0], tf.float32)

    @functools.cached_property
    def _draw_labels(self) -> Callable[[tf.Tensor], tf.Tensor]:
        gan = self.run.gan
        return self._drawn(
            lambda seed: gan.networks.labels(1, random.fold_in(seed, 1))[0], tf.int32
        )

    def _drawn(
        self, draw: Callable[[tf.Tensor], tf.Tensor], dtype: tf.DType
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        """From numbers of images to one draw for each, by a seed of its own."""

        def draws(numbers: tf.Tensor) -> tf.Tensor:
            return tf.map_fn(
                lambda number: draw(random.derive(self.seed, "image", step=number)),
                numbers,
                fn_output_signature=dtype,
            )

        signature = [tf.TensorSpec([None], tf.int64)]
        # The traced function itself: TensorFlow warns of many that look alike.
        return tf.function(draws, input_signature=signature).get_concrete_function()


def finite_uint8(images: tf.Tensor) -> np.ndarray:
    """Images in [-1, 1] as uint8.

    Raises:
        ValueError: if they are not finite.
    """
    if not bool(tf.reduce_all(tf.math.is_finite(images))):
        raise ValueError(
            "The generator's images are not finite: its weights went wrong in training. Take an "
            "earlier checkpoint. Received: images with NaN or infinity."
        )
    return to_uint8(images).numpy()
