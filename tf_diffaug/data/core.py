"""What a dataset is here: all its images, in memory or on disk, and how to take a part of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import numpy as np
from PIL import Image

from tf_diffaug.data import memory
from tf_diffaug.data.packed import PackedImages, blocks
from tf_diffaug.labels import check_whole
from tf_diffaug.naming import unknown
from tf_diffaug.random import derive_int

SUBSET_MODES = ("random", "paper", "balanced")
# A label is anyone's number, and something is counted or learned for each class up to it.
MOST_CLASSES = 1 << 20


@dataclasses.dataclass(frozen=True, eq=False)
class ImageData:
    """Images of one size, with labels and a held-out split where there are any.

    Args:
        name: the dataset's name, `folder:PATH` for a folder.
        images: uint8 (n, H, W, C), 0 to 255; `PackedImages` are read from disk as they are needed.
        labels: whole numbers (n,) or (n, 1) from 0 and below 2**20, -1 where it is not known, kept
            as int32 (n,), or None.
        class_names: the name of each label, or None.
        flip: whether a mirrored image is as good a member of this dataset as the image itself.
        test: held-out images, uint8 (m, H, W, C), or None. They are never trained on.
        test_labels: theirs, int32 (m,), or None.
        skipped: the files left out because they could not be used, relative to the folder.
        passed_over: the files that are no images, or of a split not used, relative to the folder.

    Raises:
        ValueError: if shapes, dtypes or labels do not fit together.
    """

    name: str
    images: np.ndarray | PackedImages
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    flip: bool = False
    test: np.ndarray | PackedImages | None = None
    skipped: tuple[str, ...] = ()
    test_labels: np.ndarray | None = None
    passed_over: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8 or not len(self.images):
            raise ValueError(
                "Images must be uint8 of shape (n, H, W, C), one at least. "
                f"Received: images={self.images.dtype}{self.images.shape}."
            )
        test = self.test
        if test is not None and (test.shape[1:] != self.images.shape[1:] or test.dtype != np.uint8):
            raise ValueError(
                f"Held-out images must be uint8 of shape (m, {self.images.shape[1:]}). "
                f"Received: test={test.dtype}{test.shape}."
            )
        if self.labels is not None:
            self._check_labels("labels", len(self.images), least=-1)
        if self.test_labels is not None:
            self._check_labels("test_labels", 0 if test is None else len(test))

    def _check_labels(self, name: str, count: int, least: int = 0) -> None:
        labels = np.asarray(getattr(self, name))
        check_whole(labels)
        labels = labels.astype(np.int32, copy=False)
        labels = labels[:, 0] if labels.ndim == 2 else labels
        if labels.shape != (count,) or labels.min(initial=0) < least:
            raise ValueError(
                f"Labels must be integers from {least}, of shape ({count},). Received: "
                f"{name}={labels.dtype}{labels.shape}, the least being {labels.min(initial=0)}."
            )
        if labels.max(initial=0) >= MOST_CLASSES:
            raise ValueError(
                f"Labels must be below {MOST_CLASSES:,}. Received: {name}, the greatest being "
                f"{labels.max()}."
            )
        if self.class_names is not None and labels.max() >= len(self.class_names):
            raise ValueError(
                f"A label has no name among {len(self.class_names)} class names. "
                f"Received: label={labels.max()}."
            )
        if labels.min(initial=0) < 0 and not self.class_names:
            raise ValueError(
                "Where labels are hidden, class_names say how many classes there are. "
                "Received: label=-1, class_names=None."
            )
        object.__setattr__(self, name, labels)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int | None:
        """The number of classes, those with no image included; None without labels."""
        if self.labels is None:
            return None
        return len(self.class_names) if self.class_names else int(self.labels.max()) + 1

    def label_counts(self) -> np.ndarray | None:
        """How many images each class has, int64 (num_classes,); None without labels.

        A class of which there is none should have no fakes: `label_frequencies` of 0.
        """
        if self.labels is None:
            return None
        return np.bincount(self.labels[self.labels >= 0], minlength=self.num_classes)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the images' and labels' shapes and bytes, 64 hexadecimal digits.

        It is taken once, of a packed data set when it was packed, and neither the name nor the
        held-out images enter.
        """
        if isinstance(self.images, PackedImages):
            known = self.images.fingerprint_with(self.labels)
            if known is not None:
                return known
        digest = hashlib.sha256(f"{self.images.dtype}{self.images.shape}".encode())
        for block in blocks(self.images):
            digest.update(block)
        labels = self.labels
        digest.update(b"none" if labels is None else f"{labels.dtype}{labels.shape}".encode())
        if labels is not None:
            digest.update(np.ascontiguousarray(labels))
        return digest.hexdigest()


def subset(
    data: ImageData,
    *,
    fraction: float | None = None,
    num_images: int | None = None,
    mode: str = "random",
    seed: int = 0,
) -> ImageData:
    """Takes part of the training images; the held-out ones stay as they are.

    Args:
        data: the whole dataset, returned as it is where neither `fraction` nor `num_images` is
            given.
        fraction: the part to keep, in (0, 1]; the count is rounded to the nearest image.
        num_images: the number of images to keep, instead of a fraction.
        mode: `random` draws without regard to classes, and a smaller subset of the same seed lies
            within a larger one. `paper` is the draw of the DiffAugment code for CIFAR,
            `np.random.seed(seed); np.random.choice(n, k, replace=False)`, classes unbalanced too.
            `balanced` draws equally many of each class, to within one where the count does not
            divide and as far as small classes have images.
        seed: the draw's seed; for `paper`, 0 to 2**32 - 1.

    Raises:
        ValueError: if both or an impossible `fraction` or `num_images` is given, the mode is not
            known, or `balanced` finds no labels.
    """
    if mode not in SUBSET_MODES:
        raise ValueError(unknown("mode", mode, SUBSET_MODES))
    count = _subset_size(len(data), fraction, num_images)
    if count is None:
        return data
    if mode == "balanced":
        chosen = _draw_balanced(data, count, seed)
    elif mode == "paper":
        chosen = _draw_paper(len(data), count, seed)
    else:
        chosen = _generator(seed).permutation(len(data))[:count]
    labels = None if data.labels is None else data.labels[chosen]
    if isinstance(data.images, PackedImages):
        return dataclasses.replace(data, images=data.images.take(chosen), labels=labels)
    room = memory.empty((len(chosen), *data.images.shape[1:]))
    # Any mode but the default's writes there without a copy in between.
    images = np.take(data.images, chosen, axis=0, out=room, mode="clip")
    return dataclasses.replace(data, images=images, labels=labels)


def hide_labels(data: ImageData, fraction: float, *, seed: int = 0) -> ImageData:
    """Keeps a part of the labels and puts -1 in place of the others; every image stays.

    Which ones is drawn over all images, without regard to classes: a small part may know nothing of
    a class. A smaller part of the same seed lies within a larger one. Take a `subset` first: one
    drawn from the result has its own share of labels.

    Args:
        data: a dataset with labels, all known.
        fraction: the part to keep, in (0, 1]; the count is rounded to the nearest label.
        seed: the draw's seed.

    Raises:
        ValueError: if there are no labels, some are hidden already, or none would be left.
    """
    if data.labels is None:
        raise ValueError(f"{data.name!r} has no labels to hide. Received: fraction={fraction}.")
    if data.labels.min() < 0:
        raise ValueError(f"Labels of {data.name!r} are hidden already. Received: label=-1.")
    count = _subset_size(len(data), fraction, None)
    known = _generator(seed, index=1).permutation(len(data))[:count]
    labels = np.full_like(data.labels, -1)
    labels[known] = data.labels[known]
    # The classes stay as many, whatever is hidden.
    names = data.class_names or tuple(map(str, range(data.num_classes)))
    return dataclasses.replace(data, labels=labels, class_names=names)


def _subset_size(n: int, fraction: float | None, num_images: int | None) -> int | None:
    if fraction is not None and num_images is not None:
        raise ValueError(
            "Give a fraction or a number of images, not both. "
            f"Received: fraction={fraction}, num_images={num_images}."
        )
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise ValueError(f"A fraction lies in (0, 1]. Received: fraction={fraction}.")
        num_images = int(fraction * n + 0.5)
        if not num_images:
            raise ValueError(f"That leaves none of {n} images. Received: fraction={fraction}.")
    if num_images is not None and not 1 <= num_images <= n:
        raise ValueError(
            f"The number of images lies in 1 to {n}, all there are. "
            f"Received: num_images={num_images}."
        )
    return num_images


def _generator(seed: int, index: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(derive_int(seed, "subset", index=index)))


def _draw_paper(n: int, count: int, seed: int) -> np.ndarray:
    if not 0 <= seed < 1 << 32:
        raise ValueError(f"The paper's draw has seeds 0 to 2**32 - 1. Received: seed={seed}.")
    # The stream of the legacy global generator, without touching that generator.
    return np.random.RandomState(seed).choice(n, count, replace=False)


def _draw_balanced(data: ImageData, count: int, seed: int) -> np.ndarray:
    if data.labels is None or data.labels.min() < 0:
        lack = "no labels" if data.labels is None else "not all labels"
        raise ValueError(f"{data.name!r} has {lack} to balance. Received: mode='balanced'.")
    generator = _generator(seed)
    order = generator.permutation(len(data))
    priority = generator.permutation(data.num_classes)
    # Each image's rank within its class: taking ranks in turn fills the classes evenly.
    ranks = np.empty(len(data), np.int64)
    for label in range(data.num_classes):
        members = order[data.labels[order] == label]
        ranks[members] = np.arange(len(members))
    return np.lexsort((priority[data.labels], ranks))[:count]


def convert(images: np.ndarray, *, resolution: int | None, channels: int) -> np.ndarray:
    """Resizes square RGB images with antialiasing (Lanczos), and makes them grey if asked.

    Args:
        images: uint8 (n, H, H, 3).
        resolution: the side wanted, or None for the images' own.
        channels: 3, or 1 for the luma of ITU-R 601.

    Returns:
        uint8 (n, resolution, resolution, channels).
    """
    side = resolution or images.shape[1]
    if side == images.shape[1] and channels == 3:
        return images
    out = memory.empty((len(images), side, side, channels))
    for source, target in zip(images, out, strict=True):
        image = Image.fromarray(source)
        if channels == 1:
            image = image.convert("L")
        if side != images.shape[1]:
            image = image.resize((side, side), Image.Resampling.LANCZOS)
        target[...] = np.asarray(image).reshape(target.shape)
    return out
