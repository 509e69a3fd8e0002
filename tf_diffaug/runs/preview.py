"""A contact sheet of an augmentation: on real images, each op at its extremes, and drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, Policy
from tf_diffaug.errors import UserError
from tf_diffaug.images import to_float, to_uint8

COLUMNS = 8
_QUANTILES = (0.0, 0.5, 1.0)
_OP_DRAWS = 2
_POLICY_DRAWS = 4
_GAP = 4
_LABELS = 170
_FONT = 13
_SMALLEST_CELL = 64


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
    shown = _spread(images)
    reals = to_float(tf.constant(shown))
    found = [Row("images", shown)]
    for index, op in enumerate(policy.ops):
        found += _of(Policy((op,)), reals, random.derive(seed, "preview", step=index), _OP_DRAWS)
    if len(policy.ops) > 1:
        draws = random.derive(seed, "preview", step=len(policy.ops))
        found += _drawn(_augmenter(policy), "all together", reals, draws, _POLICY_DRAWS)
    return found


def whole_policy(policy: Policy, images: np.ndarray, *, seed: int) -> list[Row]:
    """The images, and the whole policy drawn on them again and again.

    Args:
        policy: the augmentation.
        images: uint8 (n, height, width, channels).
        seed: of the draws.
    """
    shown = _spread(images)
    draws = random.derive(seed, "preview", step=len(policy.ops))
    reals = to_float(tf.constant(shown))
    drawn = _drawn(_augmenter(policy), str(policy), reals, draws, _POLICY_DRAWS)
    return [Row("images", shown), *drawn]


def _spread(images: np.ndarray) -> np.ndarray:
    """Some of the images, from first to last."""
    picks = np.linspace(0, len(images) - 1, min(COLUMNS, len(images))).round().astype(int)
    return images[picks]


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
