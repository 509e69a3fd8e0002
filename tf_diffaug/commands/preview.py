"""`train --preview`: a contact sheet of the augmentation on the user's own images."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, Policy
from tf_diffaug.commands import OK
from tf_diffaug.errors import UserError
from tf_diffaug.files import write_atomically
from tf_diffaug.images import to_float, to_uint8
from tf_diffaug.runs.parts import load_data
from tf_diffaug.runs.recipe import Recipe

COLUMNS = 8
_QUANTILES = (0.0, 0.5, 1.0)
_OP_DRAWS = 2
_POLICY_DRAWS = 4
_GAP = 4
_LABELS = 170
_FONT = 13
_SMALLEST_CELL = 64


def write(recipe: Recipe, path: str) -> int:
    """Draws the augmentation on the images that would be trained on, and writes the sheet.

    Raises:
        ValueError: for a mistake in what was asked.
    """
    config = recipe.config
    found = rows(recipe.policy, load_data(config).images, seed=config.seed)
    write_atomically(pathlib.Path(path), draw_sheet(found))
    print(f"Preview of {config.policy} on {config.dataset}: {path}")
    return OK


class Row(NamedTuple):
    """One row of the sheet: its label, and uint8 images (COLUMNS or fewer, height, width, C)."""

    label: str
    images: np.ndarray


def rows(policy: Policy, images: np.ndarray, *, seed: int) -> list[Row]:
    """The rows: the images, each op at its extremes and drawn, the whole policy drawn.

    Args:
        policy: the augmentation, with an op at least.
        images: uint8 (n, height, width, channels).
        seed: of the draws.

    Raises:
        UserError: if the policy is empty.
    """
    if not policy.ops:
        raise UserError("--preview shows a policy: add --policy=color,translation,cutout, say.")
    picks = np.linspace(0, len(images) - 1, min(COLUMNS, len(images))).round().astype(int)
    reals = to_float(tf.constant(images[picks]))
    found = [Row("images", images[picks])]
    for index, op in enumerate(policy.ops):
        found += _of(Policy((op,)), reals, random.derive(seed, "preview", step=index), _OP_DRAWS)
    if len(policy.ops) > 1:
        draws = random.derive(seed, "preview", step=len(policy.ops))
        found += _drawn(_augmenter(policy), "all together", reals, draws, _POLICY_DRAWS)
    return found


def _of(policy: Policy, reals: tf.Tensor, seed: tf.Tensor, draws: int) -> Iterator[Row]:
    augment = _augmenter(policy)
    for quantile in _QUANTILES:
        params = augment.params_at(quantile, tuple(reals.shape))
        name = {0.0: "lowest", 0.5: "middle", 1.0: "highest"}[quantile]
        yield Row(f"{policy}\n{name}", to_uint8(augment.apply(reals, params)).numpy())
    yield from _drawn(augment, str(policy), reals, seed, draws)


def _augmenter(policy: Policy) -> DiffAugment:
    return DiffAugment(policy, data_format="channels_last", seed=0)


def _drawn(
    augment: DiffAugment, label: str, reals: tf.Tensor, seed: tf.Tensor, draws: int
) -> Iterator[Row]:
    for draw in range(draws):
        params = augment.sample(tuple(reals.shape), random.fold_in(seed, draw))
        yield Row(f"{label}\ndrawn", to_uint8(augment.apply(reals, params)).numpy())


def draw_sheet(found: list[Row]) -> bytes:
    """The sheet as PNG: one row of images a `Row`, its label at the left."""
    height, width, _ = found[0].images.shape[1:]
    scale = max(1, -(-_SMALLEST_CELL // max(height, width)))
    down, across = height * scale + _GAP, width * scale + _GAP
    columns = len(found[0].images)
    sheet = Image.new("RGB", (_LABELS + across * columns + _GAP, down * len(found) + _GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    for index, row in enumerate(found):
        top = _GAP + index * down
        pen.multiline_text((_GAP, top + _GAP), _fitting(row.label), fill="black", font=font)
        for column, image in enumerate(row.images):
            picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
            picture = picture.resize((width * scale, height * scale), Image.Resampling.NEAREST)
            sheet.paste(picture.convert("RGB"), (_LABELS + column * across, top))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _fitting(label: str) -> str:
    longest = 23
    lines = label.split("\n")
    return "\n".join(x if len(x) <= longest else f"{x[: longest - 3]}..." for x in lines)
