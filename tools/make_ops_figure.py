"""Draws each op of the policy language at five strengths on one image: docs/images/ops.png.

    python tools/make_ops_figure.py                         # on an emoji
    python tools/make_ops_figure.py --data_dir=data         # on a CIFAR-10 photo

Every number that an op draws stands at one quantile of its range. Ops that mix images mix with the
second image.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402

from tf_diffaug.augment import Op, Policy, registered_ops  # noqa: E402
from tf_diffaug.data import load  # noqa: E402
from tf_diffaug.images import to_float, to_uint8  # noqa: E402

# The second paper's strengths: those of brightness, noise and the other colours (Figs. 3 and 5),
# of all the rest (Fig. 3).
BRIGHT = (0.02, 0.06, 0.1, 0.2, 0.3)
NOISE = (0.02, 0.04, 0.06, 0.08, 0.1)
OTHERS = (0.1, 0.2, 0.3, 0.4, 0.5)
# Ours, where the paper has no such op or the first paper's strength is 1.
WIDE = (0.2, 0.4, 0.6, 0.8, 1.0)
STRENGTHS = {
    **dict.fromkeys(("brightness", "redness", "greenness", "blueness", "mixup"), BRIGHT),
    **dict.fromkeys(("saturation", "contrast", "color", "color_jitter", "scale"), WIDE),
    "instance_noise": NOISE,
    "crop_resize": (0.2, 0.4, 0.6, 0.8, 0.92),
    "flip": (0.1, 0.3, 0.5, 0.7, 0.9),
    "rotation": (0.05, 0.1, 0.2, 0.3, 0.5),
}
COLUMNS = 2
CELL, GAP, LABEL, CAPTION = 64, 4, 108, 13


def show(op: Op, images: tf.Tensor, quantile: float) -> np.ndarray:
    """The first of uint8 images after the op."""
    policy = Policy((op,))
    params = policy.params_at(quantile, tuple(images.shape))
    return to_uint8(policy.apply(to_float(images), params)).numpy()[0]


def at(op: type[Op], strength: float) -> Op:
    """The op at a strength."""
    return op(strength=strength)


def draw(images: tf.Tensor, quantile: float) -> Image.Image:
    """The sheet: the images, then each op by name."""
    ops = registered_ops()
    rows = -(-(len(ops) + 1) // COLUMNS)
    down, block = CELL + CAPTION + GAP, LABEL + 5 * (CELL + GAP) + 4 * GAP
    sheet = Image.new("RGB", (COLUMNS * block, rows * down + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    small = ImageFont.load_default(10)

    def put(row: int, column: int, pixels: np.ndarray, caption: str) -> None:
        left = row // rows * block + LABEL + column * (CELL + GAP)
        top = row % rows * down + GAP
        picture = Image.fromarray(pixels).resize((CELL, CELL), Image.Resampling.NEAREST)
        sheet.paste(picture, (left, top))
        pen.text((left + CELL // 2, top + CELL), caption, fill="black", font=small, anchor="ma")

    def name(row: int, text: str) -> None:
        place = (row // rows * block + GAP, row % rows * down + GAP + CELL // 2)
        pen.text(place, text, fill="black", font=font, anchor="lm")

    name(0, "images")
    for column, image in enumerate(images.numpy()):
        put(0, column, image, ("image", "partner")[column])
    for row, (text, op) in enumerate(ops.items(), start=1):
        name(row, text)
        for column, strength in enumerate(STRENGTHS.get(text, OTHERS)):
            put(row, column, show(at(op, strength), images, quantile), f"{strength:g}")
    return sheet


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "ops.png")
    parser.add_argument("--data_dir", help="where CIFAR-10 lies; without it the image is an emoji")
    parser.add_argument("--images", type=int, nargs=2, help="numbers of the image and its partner")
    parser.add_argument("--quantile", type=float, default=0.85, help="of the draws, in [0, 1]")
    args = parser.parse_args()
    if args.data_dir is None:
        images, picks = load("emoji_faces").images, args.images or (0, 60)
    else:
        images, picks = load("cifar10", data_dir=args.data_dir).images, args.images or (44, 32)
    sheet = draw(tf.constant(images[list(picks)]), args.quantile)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(args.output, "PNG", optimize=True)
    size = args.output.stat().st_size
    print(f"{args.output}: {sheet.width}x{sheet.height}, {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
