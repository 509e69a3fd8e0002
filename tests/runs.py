"""Runs that were not trained: small networks with weights at random, saved as a run saves them."""

import pathlib

import numpy as np

from tf_diffaug.images import as_picture
from tf_diffaug.runs import CheckpointStore, Config, RunDirectory, parts, settle
from tf_diffaug.runs.saved import make_saved

CLASSES = ("cat", "dog", "emu")


def paint(folder: pathlib.Path, *, channels: int = 3, side: int = 32, count: int = 12) -> None:
    """Pictures of noise in three classes."""
    rng = np.random.default_rng(0)
    for index in range(count):
        place = folder / CLASSES[index % len(CLASSES)]
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (side, side, channels), np.uint8)
        as_picture(pixels).save(place / f"{index}.png")


def save_run(folder: pathlib.Path, *, channels: int = 3, **settings) -> pathlib.Path:
    """Writes `pictures` and `run` into a folder, and returns the latter's path.

    The weights are drawn wide enough that images differ from each other, those of the average from
    the generator's own.
    """
    paint(folder / "pictures", channels=channels, side=settings.get("resolution", 32))
    config = Config(
        **{
            "dataset": f"folder:{folder}/pictures",
            "channels": channels,
            "width": 4,
            "batch_size": 4,
            "latent_dim": 16,
            "fid_features": "none",
            "deterministic": False,
            "strategy": "one_device",
            "run_dir": str(folder / "run"),
            **settings,
        }
    )
    recipe = settle(config)
    facts = parts.data_facts(parts.load_data(recipe.config))
    gan = parts.make_gan(recipe, parts.set_up(recipe.config), facts)
    rng = np.random.default_rng(1)
    for network in (gan.generator, gan.ema_generator):
        for variable in network.trainable_variables:
            noise = rng.normal(0, 0.3, variable.shape).astype(np.float32)
            variable.assign(np.asarray(variable) + noise)
    directory = RunDirectory(folder / "run")
    directory.write_config(make_saved(recipe.config, data=facts, replicas=1))
    CheckpointStore(gan, directory.checkpoints).save()
    return directory.path
