"""Makes the embedded emoji images from the npm package emoji-datasource-google 16.0.0.

    python tools/make_emoji.py [PACKAGE]          # writes tf_diffaug/data/assets
    python tools/make_emoji.py [PACKAGE] --check  # compares its pixels with what is there

PACKAGE is the unpacked package's folder, the one with emoji.json; without it `npm pack` fetches
the package into a temporary folder. The same package gives the same pixels on every machine; the
PNG files are the same bytes too where Pillow's zlib is the same.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tf_diffaug.data.core import convert  # noqa: E402

ASSETS = ROOT / "tf_diffaug" / "data" / "assets"
PACKAGE = "emoji-datasource-google@16.0.0"
FACES = "Smileys & Emotion"
NOT_FACES = ("heart", "emotion")
# One sheet of 1,024 images of 32 px stays under 2 MB.
SHEET_IMAGES = 1024


@contextlib.contextmanager
def package_folder(given: pathlib.Path | None) -> Iterator[pathlib.Path]:
    """The unpacked package: the folder given, or a temporary one that npm fills."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)
        (archive,) = pathlib.Path(folder).glob("*.tgz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        yield pathlib.Path(folder) / "package"


def read_on_white(path: pathlib.Path) -> np.ndarray:
    """One image composited on white, uint8 (64, 64, 3)."""
    with Image.open(path) as file:
        image = file.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def contact_sheet(images: np.ndarray, columns: int) -> Image.Image:
    """Images row by row on one white sheet."""
    count, size = images.shape[:2]
    rows = -(-count // columns)
    cells = np.full((rows * columns, size, size, 3), 255, np.uint8)
    cells[:count] = images
    sheet = cells.reshape(rows, columns, size, size, 3).swapaxes(1, 2)
    return Image.fromarray(sheet.reshape(rows * size, columns * size, 3))


def build(package: pathlib.Path) -> tuple[dict, dict[str, Image.Image]]:
    """The index and the sheets by file name."""
    entries = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    entries = sorted((e for e in entries if e["has_img_google"]), key=lambda e: e["sort_order"])
    first = {}
    for position, entry in enumerate(entries):
        first.setdefault(entry["category"], position)
    entries.sort(key=lambda e: first[e["category"]])  # stable: the published order within each

    pixels = np.stack([read_on_white(package / "img/google/64" / e["image"]) for e in entries])
    is_face = [e["category"] == FACES and e["subcategory"] not in NOT_FACES for e in entries]
    faces = pixels[np.array(is_face)]
    # White is composited at full size, so that what is filtered is what is seen.
    small = convert(pixels, resolution=32, channels=3)

    sheets = {"emoji_faces.png": contact_sheet(faces, 13)}
    parts = [small[k : k + SHEET_IMAGES] for k in range(0, len(small), SHEET_IMAGES)]
    names = [f"emoji_{k}.png" for k in range(len(parts))]
    sheets |= {n: contact_sheet(p, 32) for n, p in zip(names, parts, strict=True)}
    index = {
        "emoji_faces": {
            "size": 64,
            "count": len(faces),
            "sheets": ["emoji_faces.png"],
            "classes": {},
        },
        "emoji": {
            "size": 32,
            "count": len(small),
            "sheets": names,
            "classes": dict(Counter(e["category"] for e in entries)),
        },
    }
    return index, sheets


def check(index: dict, sheets: dict[str, Image.Image]) -> list[str]:
    """The names of the stored files that differ."""
    wrong = []
    if json.loads((ASSETS / "emoji.json").read_text(encoding="utf-8")) != index:
        wrong.append("emoji.json")
    for name, sheet in sheets.items():
        with Image.open(ASSETS / name) as stored:
            if not np.array_equal(np.asarray(stored), np.asarray(sheet)):
                wrong.append(name)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", type=pathlib.Path, nargs="?")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    args = parser.parse_args()
    with package_folder(args.package) as package:
        index, sheets = build(package)
    if args.check:
        wrong = check(index, sheets)
        print(f"differs: {', '.join(wrong)}" if wrong else "all the same")
        return 1 if wrong else 0
    ASSETS.mkdir(parents=True, exist_ok=True)
    (ASSETS / "emoji.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    for name, sheet in sheets.items():
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG", optimize=True)
        (ASSETS / name).write_bytes(buffer.getvalue())
        print(f"{name}: {sheet.width}x{sheet.height}, {buffer.tell():,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
