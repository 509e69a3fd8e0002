"""What a run is, writes and reads: settings, parts, directory, checkpoints; `load_run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_diffaug._lazy import getter

if TYPE_CHECKING:
    from tf_diffaug.runs.checkpoints import CheckpointStore
    from tf_diffaug.runs.config import Config
    from tf_diffaug.runs.directory import RunDirectory
    from tf_diffaug.runs.recipe import Recipe, settle
    from tf_diffaug.runs.run import Run, load_run
    from tf_diffaug.runs.sampler import Sampler

# Imported when first asked for: settings are read before TensorFlow is loaded.
_HOME = {
    "CheckpointStore": "checkpoints",
    "Config": "config",
    "Recipe": "recipe",
    "Run": "run",
    "RunDirectory": "directory",
    "Sampler": "sampler",
    "load_run": "run",
    "settle": "recipe",
}
__all__ = [
    "CheckpointStore",
    "Config",
    "Recipe",
    "Run",
    "RunDirectory",
    "Sampler",
    "load_run",
    "settle",
]

__getattr__ = getter(__name__, _HOME)
