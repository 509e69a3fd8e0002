"""Still pictures of a run: a grid, classes, truncation, style mixing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_diffaug.runs.generate.abilities import refuse_unable
from tf_diffaug.runs.generate.classes import spread_classes
from tf_diffaug.runs.generate.pictures import Panel, Sheet
from tf_diffaug.runs.generate.source import ImageSource, finite_uint8

# psi, and the bounds of figure 2 of arXiv 1809.11096 with one between them.
PSI = (0.0, 0.25, 0.5, 0.75, 1.0)
BOUNDS = (0.04, 0.5, 1.0, 1.5, 2.0)
# "Coarse spatial resolutions (4² – 8²)", arXiv 1812.04948, figure 3: two layers each.
_COARSE_LAYERS = 4


def grid(source: ImageSource, count: int = 64) -> Sheet:
    """The first images in a grid nearly square.

    Raises:
        ValueError: for a count below 1, or images that are not finite.
    """
    images = source.images(count)
    columns = -(-count // max(1, round(count**0.5)))
    blank = np.full((-count % columns, *images.shape[1:]), 255, np.uint8)
    cells = np.concatenate([images, blank])
    return Sheet([Panel(cells.reshape(-1, columns, *images.shape[1:]))])


def classes(source: ImageSource, *, columns: int = 8, most: int = 10) -> Sheet:
    """One class a row: down a column the latents are the same.

    Args:
        source: its classes, or without any all of the run.
        columns: images of each class.
        most: without classes of the source, how many of the run's there are, spread over all.

    Raises:
        ValueError: for an unconditional run.
    """
    refuse_unable(source, "classes")
    labels = source.classes or spread_classes(source.num_classes, most)
    latents = source.latents(range(columns))
    images = source.render(
        np.tile(latents, (len(labels), 1)), np.repeat(labels, columns).astype(np.int32)
    )
    rows = images.reshape(len(labels), columns, *images.shape[1:])
    return Sheet([Panel(rows)], [source.class_name(label) for label in labels])


def truncation(
    source: ImageSource, *, values: Sequence[float] | None = None, columns: int = 8
) -> Sheet:
    """One truncation a row, from typical images to varied ones: down a column the seed is the same.

    Args:
        source: where the images come from; its own truncation counts for nothing.
        values: by default `PSI` for a generator with styles, `BOUNDS` for another.
        columns: images of each.

    Raises:
        ValueError: if the generator has no truncation, or not these.
    """
    refuse_unable(source, "truncation")
    has_styles = source.sampler.has_styles
    values = values or (PSI if has_styles else BOUNDS)
    total = columns * len(values)
    rows = []
    for row, value in enumerate(values):
        before = row * columns
        rows.append(
            source.replaced(
                truncation=value,
                progress=lambda done, _, before=before: source.progress(before + done, total),
            ).images(columns)
        )
    word = "psi" if has_styles else "bound"
    return Sheet([Panel(np.stack(rows))], [f"{word} {value:g}" for value in values])


def mixing(source: ImageSource, *, rows: int = 5, columns: int = 7) -> Sheet:
    """The coarse styles of each row's image, at its left, with the fine ones of each column's.

    Coarse are the layers up to 8x8, or the first half of them where there are no more than these.

    Raises:
        ValueError: for a generator without styles.
    """
    refuse_unable(source, "mixing")
    network = source.sampler.network()
    styles = _styles(source, rows + columns)
    coarse, fine = styles[:rows], styles[rows:]
    cutoff = min(_COARSE_LAYERS, styles.shape[1] // 2)
    mixed = np.tile(fine[None], (rows, 1, 1, 1))
    mixed[:, :, :cutoff] = coarse[:, None, :cutoff]

    synthesis = tf.function(network.synthesis, autograph=False)
    every = np.concatenate([styles, mixed.reshape(-1, *styles.shape[1:])])
    images = source.in_chunks(lambda w: finite_uint8(synthesis(w)), every)
    shape = images.shape[1:]
    blank = np.full((1, *shape), 255, np.uint8)
    left = np.concatenate([blank, images[:rows]])[:, None]
    cells = images[rows:].reshape(rows + 1, columns, *shape)
    return Sheet([Panel(left, "coarse styles"), Panel(cells, "fine styles")])


def _styles(source: ImageSource, count: int) -> np.ndarray:
    """The styles of the first images, float32 (count, layers, w_dim)."""
    labels = source.labels(range(count))
    latents = source.latents(range(count))
    psi = 1.0 if source.truncation is None else source.truncation
    inputs = latents if labels is None else (latents, labels)
    return source.sampler.network().styles(inputs, training=False, truncation_psi=psi).numpy()
