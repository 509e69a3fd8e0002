"""Pictures, and folders of them."""

import io
import zipfile

import numpy as np
from PIL import Image

from tf_diffaug.data import load


def noise(height, width, channels=3, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def plain(colour, size=(12, 12), mode="RGB"):
    return Image.new(mode, size, colour)


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def save_zip(path, images):
    with zipfile.ZipFile(path, "w") as archive:
        for name, image in images.items():
            file = io.BytesIO()
            image.save(file, "png")
            archive.writestr(name, file.getvalue())
    return path


def open_folder(path, **options):
    return load(f"folder:{path}", **{"resolution": 8, **options})
