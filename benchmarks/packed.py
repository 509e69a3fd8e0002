"""Training data on disk: what reading costs beside memory, other formats and a training step.

    python benchmarks/packed.py                      # formats, input, memory
    python benchmarks/packed.py --parts memory --gigabytes=5

`formats` reads random batches of a file that has just been written, so that most of it lies in the
system's memory, in each of several ways, which take turns: `memory`, a gather from an array;
`packed`, as training reads; `unchecked`, the same without checksums; `memmap`, NumPy's memory map,
whose pages count as the process's memory; and ArrayRecord (https://github.com/google/array_record),
a record an image, where it is installed.

`input` is what `batches` gives, and what the training step of each preset takes of it, on the same
machine in the same run: images a second.

`memory` packs so many gigabytes of noise, which never are in memory, trains a few steps on them,
with measurements, an evaluation and a checkpoint, in a process of its own; beside it the same on
the few images of `emoji_faces`.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf

from benchmarks import records
from benchmarks.memory import peak_gib
from benchmarks.timing import take_turns
from tf_diffaug.commands import main as command
from tf_diffaug.commands import presets
from tf_diffaug.data import ImageData, batches, load
from tf_diffaug.data.origins import Origin, of_arrays
from tf_diffaug.data.packing import write_packed
from tf_diffaug.runs import Config, parts, settle

PARTS = ("formats", "input", "memory")
PRESETS = (
    "quick-sndcgan-cifar10",
    "quick-biggan-cifar10",
    "quick-biggan96-cifar10",
    "quick-stylegan2-cifar10",
)


def formats(
    recorder: records.Recorder,
    folder: Path,
    *,
    side: int,
    megabytes: int,
    batch_size: int,
    repeats: int,
) -> None:
    """Images a second of random batches, for each way to read them."""
    shape = (side, side, 3)
    count = megabytes * 1_000_000 // (side * side * 3)
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    path = write_packed(of_arrays(ImageData("noise", images)), folder / f"formats{side}")
    packed = load(f"packed:{path}").images
    mapped = np.memmap(path / "images.bin", np.uint8, "r", shape=images.shape)
    rng = np.random.default_rng(1)
    # One read at a time is too short to time; each batch is another, as in training.
    rounds = 20

    def timed(read: Callable[[np.ndarray], np.ndarray]) -> Callable[[], float]:
        def seconds() -> float:
            rows = [rng.integers(0, count, batch_size) for _ in range(rounds)]
            start = time.perf_counter()
            for some in rows:
                assert read(some).shape == (batch_size, *shape)
            return time.perf_counter() - start

        return seconds

    ways = {
        "memory": timed(lambda rows: images[rows]),
        "packed": timed(packed.__getitem__),
        "unchecked": timed(functools.partial(_unchecked, packed)),
        "memmap": timed(lambda rows: mapped[rows]),
    }
    try:
        ways["ArrayRecord"] = timed(_array_record(folder / f"{side}.array_record", images))
    except ImportError as error:
        recorder.missing(f"ArrayRecord, {side} px", str(error))
    for name, some in take_turns(ways, repeats=repeats).items():
        rates = [rounds * batch_size / each for each in some]
        recorder.add(f"{name}, {side} px", "read", rates, "images/s")


def _unchecked(packed, rows: np.ndarray) -> np.ndarray:
    images = np.empty((len(rows), *packed.records.shape), np.uint8)
    flat = images.reshape(len(rows), -1)
    for row, number in zip(flat, rows.tolist(), strict=True):
        packed.records._fill(row[None], number)
    return images


def _array_record(path: Path, images: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

    writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    for image in images:
        writer.write(image.tobytes())
    writer.close()
    reader = ArrayRecordReader(str(path), options="readahead_buffer_size:0")

    def read(rows: np.ndarray) -> np.ndarray:
        found = b"".join(reader.read(rows.tolist()))
        return np.frombuffer(found, np.uint8).reshape(len(rows), *images.shape[1:])

    return read


def measure_input(
    recorder: records.Recorder,
    folder: Path,
    *,
    counts: list[int],
    batch_size: int,
    repeats: int,
    presets_: list[str],
) -> None:
    """Images a second of `batches`, and of the training step of presets."""
    given = {}
    for side, count in zip((32, 128), counts, strict=True):
        images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
        held = ImageData("noise", images, np.arange(count) % 10, tuple("0123456789"), flip=True)
        path = write_packed(of_arrays(held), folder / f"input{side}")
        streams = {
            name: iter(batches(data, batch_size, seed=0))
            for name, data in (("memory", held), ("packed", load(f"packed:{path}")))
        }
        turns = {name: _taking(stream, 100) for name, stream in streams.items()}
        for name, some in take_turns(turns, repeats=repeats).items():
            rates = given[name, side] = [100 * batch_size / each for each in some]
            recorder.add(f"{name}, {side} px", "`batches`", rates, "images/s")
    for name in presets_:
        settings = {**presets.get(name).settings, "strategy": "one_device"}
        rates = _step_rates(settings, folder, repeats)
        recorder.add(name, "a training step takes", rates, "images/s")
        more = records.ratios(given["packed", 32], rates)
        recorder.add(name, "`batches` of packed, of that", more)


def _taking(stream: Iterator, count: int) -> Callable[[], float]:
    def seconds() -> float:
        start = time.perf_counter()
        for _ in range(count):
            next(stream)
        return time.perf_counter() - start

    return seconds


def _step_rates(settings: dict, folder: Path, repeats: int) -> list[float]:
    """Images a second of the bare step, on one batch again and again."""
    here = {"dataset": f"packed:{folder}/input32", "resolution": 32, "data_dir": None}
    config = Config(**{**settings, **here, "fid_features": "none"})
    recipe = settle(config)
    built = parts.build(recipe, cache=False, evaluate=False)
    batch = next(iter(parts.make_dataset(recipe.config, built.data)))
    step = tf.function(built.gan.train_step)

    def seconds() -> float:
        start = time.perf_counter()
        tf.nest.map_structure(np.asarray, step(batch))
        return time.perf_counter() - start

    images = config.batch_size * config.d_steps
    return [images / some for some in take_turns({"step": seconds}, repeats=repeats)["step"]]


def measure_memory(
    recorder: records.Recorder, folder: Path, gigabytes: float, batch_size: int
) -> None:
    """The peaks of two runs, on many images and on few."""
    side = 128
    count = int(gigabytes * 1e9) // (side * side * 3)
    start = time.perf_counter()
    write_packed(_noise(count, side), folder / "many")
    many = f"{gigabytes:g} GB of images"
    trained = {"train on few": "emoji_faces", f"train on {many}": f"packed:{folder}/many"}
    recorder.add(f"pack {many}", "time", time.perf_counter() - start, "s")
    for row, name in trained.items():
        asked = [sys.executable, __file__, f"--train={name}", f"--batch_size={batch_size}"]
        asked += [f"--folder={folder}/{name.partition(':')[0]}"]
        done = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True)
        recorder.add(row, "peak", float(done.stdout.split()[-1]), "GiB")


def _noise(count: int, side: int) -> Origin:
    def item(k: int) -> tuple[np.ndarray, int]:
        image = np.random.default_rng(k).integers(0, 256, (side, side, 3), np.uint8)
        return image, k % 10

    return Origin(
        name="noise",
        key=f"noise {count}",
        train=count,
        test=0,
        items=lambda start: (functools.partial(item, k) for k in range(start, count)),
        unusable=lambda tried, errors: "",
        name_of=str,
        has_labels=True,
        has_test_labels=False,
        class_names=tuple("0123456789"),
        flip=False,
    )


def train(dataset: str, batch_size: int, folder: str) -> None:
    """Trains a few steps, and prints the most memory that this process has held, in GiB."""
    flags = [f"--dataset={dataset}", "--resolution=128", "--width=8", f"--run_dir={folder}"]
    flags += ["--steps=30", f"--batch_size={batch_size}", "--log_every=10", "--num_fakes=64"]
    flags += ["--policy=color", "--fid_features=emoji-cnn", "--eval_every=15"]
    os.environ["XDG_CACHE_HOME"] = f"{folder}-cache"
    assert command(["train", *flags]) == 0
    print(peak_gib())


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--megabytes", type=int, default=500, help="of each file of `formats`")
    parser.add_argument(
        "--counts", nargs=2, type=int, default=[50_000, 4_000], help="images of `input`, by side"
    )
    parser.add_argument("--gigabytes", type=float, default=5.0, help="of `memory`")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--folder", help="where files are written; by default a temporary one")
    records.add_flag(parser)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train is not None:
        train(asked.train, asked.batch_size, asked.folder)
        return
    recorder = records.Recorder(asked.json)
    some = {"batch_size": asked.batch_size, "repeats": asked.repeats}
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        if "formats" in asked.parts:
            for side in (32, 128):
                formats(recorder, folder, side=side, megabytes=asked.megabytes, **some)
        if "input" in asked.parts:
            measure_input(recorder, folder, counts=asked.counts, presets_=asked.presets, **some)
        if "memory" in asked.parts:
            measure_memory(recorder, folder, asked.gigabytes, asked.batch_size)


if __name__ == "__main__":
    main()
