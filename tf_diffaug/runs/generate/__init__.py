"""Pictures of a finished run: its images as files, sheets, animations.

>>> from tf_diffaug.runs import generate, load_run
>>> source = generate.ImageSource(load_run("runs/NAME"), seed=3)  # doctest: +SKIP
>>> generate.grid(source).save("grid.png")  # doctest: +SKIP
"""

from tf_diffaug.runs.generate.abilities import inability
from tf_diffaug.runs.generate.animations import class_interpolation, interpolation
from tf_diffaug.runs.generate.files import save_images
from tf_diffaug.runs.generate.nearest import nearest, nearest_by_features, nearest_by_pixels
from tf_diffaug.runs.generate.pictures import Animation, Panel, Sheet
from tf_diffaug.runs.generate.sheets import classes, grid, mixing, truncation
from tf_diffaug.runs.generate.source import ImageSource

__all__ = [
    "Animation",
    "ImageSource",
    "Panel",
    "Sheet",
    "class_interpolation",
    "classes",
    "grid",
    "inability",
    "interpolation",
    "mixing",
    "nearest",
    "nearest_by_features",
    "nearest_by_pixels",
    "save_images",
    "truncation",
]
