"""Runs that were not trained, saved as a run saves them; and what is asked of those that were."""

import json
import pathlib
import time

import numpy as np
import tensorflow as tf

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


def state(run_dir) -> dict[str, np.ndarray]:
    """The variables in a run's newest checkpoint."""
    path = tf.train.latest_checkpoint(str(pathlib.Path(run_dir) / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE")]
    return {name: reader.get_tensor(name) for name in names if "save_counter" not in name}


def assert_same_bits(one, other) -> None:
    """Compares the newest checkpoints of two runs."""
    expected, found = state(one), state(other)
    assert len(expected) > 20
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def records(run_dir, kind: str) -> list[dict]:
    """A run's metrics of a kind."""
    lines = (pathlib.Path(run_dir) / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def interrupt(processes, run_dir, number, *, step="*", which=(0,)) -> float:
    """Sends a signal to some of the processes of a run once they have saved a step.

    Returns:
        When it was sent, by `time.monotonic`.
    """
    until = time.monotonic() + 600
    while not list((run_dir / "checkpoints").glob(f"step-{step}.index")):
        for process in processes:
            assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.02)
    for index in which:
        processes[index].send_signal(number)
    return time.monotonic()
