"""What ends training, other than a bug or a mistake in what was asked, as one line."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import tensorflow as tf

from tf_diffaug.errors import Failure, one_line
from tf_diffaug.runs.checkpoints import newest_in
from tf_diffaug.training import NonFiniteLossError

# What a worker sees when another one is gone; the last if the chief hangs, which answers no more.
_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
_LONGEST = 300


@contextlib.contextmanager
def failures(checkpoints: pathlib.Path | None = None) -> Iterator[None]:
    """Turns a loss that is not finite, a full disk or memory into a `Failure` of one line.

    Args:
        checkpoints: the folder of those of a run; None where none is written: a file is then one
            that the user named, and no failure.
    """
    try:
        yield
    except (NonFiniteLossError, OSError, tf.errors.ResourceExhaustedError) as error:
        # The last: memory, or a disk that TensorFlow wrote to.
        if checkpoints is None and isinstance(error, OSError):
            raise
        latest = None if checkpoints is None else newest_in(checkpoints)
        kept = "" if latest is None else f" The last good checkpoint: {latest}."
        raise Failure(one_line(error)[:_LONGEST] + kept) from error


@contextlib.contextmanager
def worker_gone(strategy: str) -> Iterator[None]:
    """Turns what one of several workers sees when another ends into a `Failure` of one line.

    Args:
        strategy: as the run has it; without several workers such an error is a bug's.
    """
    try:
        yield
    except _GONE as error:
        if strategy != "multi_worker":
            raise
        raise Failure(
            "Another worker is gone. The same commands go on from what was saved last."
        ) from error
