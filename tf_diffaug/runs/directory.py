"""The folder of a run, and the only code that knows what lies where in it."""

from __future__ import annotations

import errno
import functools
import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.files import read_regular, write_atomically
from tf_diffaug.images import encode_png, read_png
from tf_diffaug.runs.contents import check_record, parse_json, refuse_links

# Beside the metrics, what is shown as a number.
_NUMBERS = ("images_per_second", "leak", "leak_threshold")


class RunDirectory:
    """A run's config.json, metrics.jsonl, evaluations.jsonl, checkpoints, samples and TensorBoard.

    Nothing is made before something is written. TensorBoard's files are a view of the metrics and
    samples, written again from them when a run resumes; without TensorBoard they are left out.

    Args:
        path: the folder.

    Raises:
        ValueError: if a record is damaged, or a part is a link to what lies elsewhere.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.jsonl"
        self.evaluations = self.path / "evaluations.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.tensorboard = self.path / "tensorboard"
        self._board = None
        refuse_links(self.path)
        self._last = {record["kind"]: record for record in self.records()}

    def write_config(self, config: dict[str, Any]) -> None:
        """Writes `config.json`."""
        write_atomically(self.config, json.dumps(config, indent=2) + "\n")

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The metric records in order, of one kind (`train`, `eval`) or all.

        A last line without its end was cut short by a kill, and is not a record.

        Raises:
            ValueError: if another line is damaged.
        """
        numbers = (*METRICS, *_NUMBERS)
        found = _read(self.metrics, functools.partial(check_record, numbers=numbers))
        return [one for one in found if kind is None or one["kind"] == kind]

    def evaluated(self) -> list[dict[str, Any]]:
        """The records of the command `evaluate` in order, read as `records` are.

        Each has `values`, `readings` and a `protocol`, empty where the file has none.
        """
        found = _read(self.evaluations, functools.partial(check_record, evaluation=True))
        return [{"values": {}, "readings": {}, "protocol": {}, **one} for one in found]

    def append(self, record: dict[str, Any]) -> None:
        """Adds a record, which has a `step`, a `kind` and scalars, to metrics and TensorBoard."""
        _append(self.metrics, record)
        self._last[record["kind"]] = record
        self._board_record(record)

    def append_evaluation(self, record: dict[str, Any]) -> None:
        """Adds a record of the command `evaluate`."""
        if self.evaluations.exists():
            content = self.evaluations.read_bytes()
            if not content.endswith(b"\n"):  # cut short by a kill: no record, and no start of one
                write_atomically(self.evaluations, content[: content.rfind(b"\n") + 1])
        _append(self.evaluations, record)

    def last(self, kind: str) -> dict[str, Any] | None:
        """The last record of a kind, if there is one."""
        return self._last.get(kind)

    def write_sample(self, step: int, sheet: np.ndarray, *, scale: int = 2) -> pathlib.Path:
        """Writes a grid of samples, uint8 (height, width, channels), and returns its path."""
        path = self._sample(step)
        write_atomically(path, encode_png(sheet, scale=scale))
        self._board_sample(path, step)
        return path

    def rewind(self, step: int) -> list[str]:
        """Drops the records and samples past `step`, and writes TensorBoard's files again.

        Returns:
            A line for each picture that TensorBoard has not, as it cannot be read.
        """
        kept = [record for record in self.records() if record["step"] <= step]
        if self.metrics.exists():
            write_atomically(self.metrics, "".join(json.dumps(r) + "\n" for r in kept))
        self._last = {record["kind"]: record for record in kept}
        if self._board is not None:
            self._board.close()
            self._board = None
        if self.tensorboard.exists():
            shutil.rmtree(self.tensorboard)
        for record in kept:
            self._board_record(record)
        unreadable = []
        for path in sorted(self.samples.glob("*.png")):
            if not (path.stem.isdecimal() and path == self._sample(int(path.stem))):
                continue  # none of ours
            if int(path.stem) > step:
                path.unlink()
                continue
            try:
                self._board_sample(path, int(path.stem))
            except ValueError as error:
                unreadable.append(str(error))
        return unreadable

    def _sample(self, step: int) -> pathlib.Path:
        return self.samples / f"{step:07d}.png"

    def _writer(self) -> tf.summary.SummaryWriter | None:
        if self._board is None:
            try:
                import tensorboard  # noqa: F401
            except ModuleNotFoundError:
                return None
            self._board = tf.summary.create_file_writer(str(self.tensorboard))
        return self._board

    def _board_record(self, record: dict[str, Any]) -> None:
        if (writer := self._writer()) is None:
            return
        # What float32 has no room for is infinite, where TensorFlow would raise.
        with writer.as_default(record["step"]), np.errstate(over="ignore"):
            for name, value in record.items():
                if isinstance(value, float):
                    tf.summary.scalar(f"{record['kind']}/{name}", np.float32(value))
        writer.flush()

    def _board_sample(self, path: pathlib.Path, step: int) -> None:
        if (writer := self._writer()) is None:
            return
        picture = np.asarray(read_png(path))
        with writer.as_default(step):
            tf.summary.image("samples", picture.reshape(1, *picture.shape[:2], -1))
        writer.flush()


def _read(path: pathlib.Path, check: Callable[[Any], None]) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = read_regular(path).split(b"\n")[:-1]
    return [_record(path, number, line, check) for number, line in enumerate(lines, 1)]


def _record(
    path: pathlib.Path, number: int, line: bytes, check: Callable[[Any], None]
) -> dict[str, Any]:
    try:
        record = parse_json(line)
        check(record)
    except ValueError as error:
        known = isinstance(error, (json.JSONDecodeError, UnicodeError))
        reason = "" if known else f"There, {error}. "
        raise ValueError(
            f"{path} is damaged: line {number} is no record. {reason}Mend or remove that line. "
            f"Received: {line[:40]!r}."
        ) from error
    return record


def _append(path: pathlib.Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # One write of a whole line: a reader never sees half a record of a run that goes on.
    line = (json.dumps(record) + "\n").encode()
    with open(path, "ab", buffering=0) as file:
        try:
            written = file.write(line)
        except OSError as error:  # which knows no file
            raise OSError(error.errno, error.strerror, str(path)) from error
        if written < len(line):
            file.truncate(file.tell() - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
