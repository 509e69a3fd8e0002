"""Images in memory or on disk, from names and folders to shuffled batches."""

from tf_diffaug.data.batches import batches
from tf_diffaug.data.core import SUBSET_MODES, ImageData, hide_labels, subset
from tf_diffaug.data.pack import pack
from tf_diffaug.data.packed import PackedImages
from tf_diffaug.data.sources import DATASETS, load

__all__ = [
    "DATASETS",
    "SUBSET_MODES",
    "ImageData",
    "PackedImages",
    "batches",
    "hide_labels",
    "load",
    "pack",
    "subset",
]
