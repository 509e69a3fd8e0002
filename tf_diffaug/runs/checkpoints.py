"""Checkpoints: everything a run is, whole or not there."""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

import tensorflow as tf

from tf_diffaug.errors import UserError
from tf_diffaug.naming import unknown
from tf_diffaug.training.gan import GAN

_NAME = re.compile(r"step-[0-9]+")
# Before the first value.
_WORST = {"lower": math.inf, "higher": -math.inf}


class CheckpointStore:
    """The newest checkpoints of a run, and the one with the best value of a metric under `best/`.

    They are `tf.train.Checkpoint`'s: groups of variables (`generator`, `ema_generator`,
    `discriminator`, both optimizers, ...) in the order of `GAN.state`. TensorFlow writes each under
    another name and renames it, and the state file last: a kill leaves the checkpoint before.

    Args:
        gan: a compiled GAN; build the store in the scope of its strategy.
        directory: where the checkpoints lie.
        keep: how many of the newest are kept.
        better: whether a `lower` value is better, as of the FID, or a `higher` one.
    """

    def __init__(
        self, gan: GAN, directory: str | os.PathLike, *, keep: int = 3, better: str = "lower"
    ) -> None:
        if keep < 1:
            raise ValueError(f"A run keeps one checkpoint or more. Received: keep={keep}.")
        if better not in _WORST:
            raise ValueError(unknown("better", better, _WORST))
        self.gan = gan
        self.directory = pathlib.Path(directory)
        self._better = better
        self._best_value = tf.Variable(_WORST[better], trainable=False, dtype=tf.float64)
        # Its name in the file is from when only the FID could choose.
        checkpoint = tf.train.Checkpoint(**gan.state(), best_fid=[self._best_value])
        self._newest = self._manager(checkpoint, self.directory, keep)
        self.damaged: tuple[str, ...] = ()
        self._best = self._manager(checkpoint, self.directory / "best", 1)

    @staticmethod
    def _manager(
        checkpoint: tf.train.Checkpoint, directory: pathlib.Path, keep: int
    ) -> tf.train.CheckpointManager:
        newest_in(directory)  # what its state names the manager removes, sooner or later
        return tf.train.CheckpointManager(
            checkpoint, str(directory), max_to_keep=keep, checkpoint_name="step"
        )

    @property
    def latest(self) -> str | None:
        """Path prefix of the newest checkpoint, if there is one."""
        return self._newest.latest_checkpoint

    @property
    def best(self) -> str | None:
        """Path prefix of the checkpoint with the best value, if there is one."""
        return self._best.latest_checkpoint

    @property
    def best_value(self) -> float:
        """The best value so far; before the first an infinity that every value is better than."""
        return float(self._best_value.numpy())

    def save(self) -> str:
        """Writes the state of the run at its step.

        Raises:
            NonFiniteLossError: if there is something in it that is not finite.
            OSError: if it cannot be written; the checkpoints before are as they were.
        """
        return self._save(self._newest)

    def save_if_best(self, value: float) -> bool:
        """Writes the state under `best/` if no value was as good before."""
        best = self.best_value
        if not (value < best if self._better == "lower" else value > best):
            return False
        self._best_value.assign(value)
        self._save(self._best)
        return True

    def restore(self, *, clean: bool = True) -> int | None:
        """Takes the newest checkpoint up that is whole; returns its step, or None if there is none.

        Those passed over are in `damaged`; they stay until a save takes their place.

        Args:
            clean: whether to remove what a kill left unfinished; of several workers one does.

        Raises:
            OSError: if there are checkpoints and none can be read, or they hold other variables
                than this GAN has.
        """
        if clean:
            _remove_unfinished(self.directory)
            _remove_unfinished(self.directory / "best")
        errors = []
        for path in reversed(self._newest.checkpoints):
            try:
                step = self.load(path)
            except OSError as error:
                errors.append(error)
                continue
            self.damaged = tuple(map(str, errors))
            return step
        if errors:
            raise errors[0]
        return None

    def load(self, path: str) -> int:
        """Takes up one checkpoint, by the prefix of its path, and returns its step.

        It leaves the directory alone, so that a run that is still training may be looked at.

        Raises:
            OSError: if it cannot be read, or holds other variables than this GAN has.
        """
        with _restoring(path):
            status = self._newest.checkpoint.restore(path)
            status.assert_consumed()
        return int(self.gan.step.numpy())

    def _save(self, manager: tf.train.CheckpointManager) -> str:
        self.gan.check_finite()
        directory = pathlib.Path(manager.directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            return manager.save(checkpoint_number=int(self.gan.step.numpy()))
        except tf.errors.OpError as error:
            _remove_unfinished(directory)
            raise OSError(
                f"No checkpoint could be written to {directory}: {_reason(error)}"
            ) from error


def newest_step(directory: str | os.PathLike) -> int | None:
    """The step of the newest checkpoint in a folder, read off its name; None without one."""
    path = newest_in(directory)
    return None if path is None else int(path.rsplit("-", 1)[1])


def newest_in(directory: str | os.PathLike) -> str | None:
    """Path prefix of the newest checkpoint in a folder, if there is one.

    Raises:
        UserError: if the folder's state file names checkpoints of other folders.
    """
    state_file = pathlib.Path(directory) / "checkpoint"
    if state_file.exists() and not state_file.is_file():
        raise UserError(f"{state_file} is no file.")
    try:
        state = tf.train.get_checkpoint_state(str(directory))
    except ValueError as error:
        raise UserError(f"{state_file} is damaged ({error}).") from error
    if state is None:
        return None
    for path in (state.model_checkpoint_path, *state.all_model_checkpoint_paths):
        folder, name = os.path.split(os.path.normpath(path))
        is_own = os.path.abspath(folder) == os.path.abspath(directory)
        if not (is_own and _NAME.fullmatch(name)):
            raise UserError(
                f"{state_file} names {path!r}, which is no checkpoint of that folder. Mend it."
            )
    return tf.train.latest_checkpoint(str(directory))


def is_readable(path: str) -> bool:
    """Whether every value of a checkpoint, by the prefix of its path, can be read."""
    try:
        with _restoring(path):
            reader = tf.train.load_checkpoint(path)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
    except OSError:
        return False
    return True


def find_checkpoint(
    run_dir: pathlib.Path, checkpoint: str, *, flag: str = "checkpoint"
) -> pathlib.Path:
    """Path prefix of a checkpoint of a run.

    Args:
        run_dir: the folder of the run.
        checkpoint: `newest`, `best` (by the run's `best_by`) or the number of a step.
        flag: what the user asks for it by, for the message.

    Raises:
        UserError: if there is no such checkpoint.
    """
    folder = run_dir / "checkpoints"
    if checkpoint in ("newest", "best"):
        place = folder / "best" if checkpoint == "best" else folder
        path = newest_in(place)
        if path is None:
            raise UserError(f"{run_dir} has no checkpoint in {place.name}/ yet.")
        return pathlib.Path(path)
    found = checkpoints_by_step(run_dir)
    if checkpoint not in found:
        steps = f"steps {', '.join(found)}" if found else "no step"
        raise UserError(f"{run_dir} has checkpoints of {steps}. Received: --{flag}={checkpoint}.")
    return found[checkpoint]


def checkpoints_by_step(run_dir: pathlib.Path) -> dict[str, pathlib.Path]:
    """Path prefixes of a run's checkpoints, the best one among them, by the number of the step."""
    folder = run_dir / "checkpoints"
    found = {
        path.stem.removeprefix("step-"): path.with_suffix("")
        for place in (folder / "best", folder)
        for path in place.glob("step-*.index")
        if _NAME.fullmatch(path.stem)
    }
    return {step: found[step] for step in sorted(found, key=int)}


def groups_in(path: str) -> set[str]:
    """The names of the groups that a checkpoint holds.

    Args:
        path: the prefix of its path.

    Raises:
        OSError: if it cannot be read.
    """
    with _restoring(path):
        return {name.partition("/")[0] for name, _ in tf.train.list_variables(path)}


def read_groups(path: str, **groups: list[tf.Variable]) -> None:
    """Reads some groups of a checkpoint, and leaves the others alone.

    Args:
        path: the prefix of its path.
        **groups: variables by the group's name, in the order of `GAN.state`.

    Raises:
        OSError: if it cannot be read, or holds other variables.
    """
    with _restoring(path):
        status = tf.train.Checkpoint(**groups).read(path)
        status.assert_existing_objects_matched().expect_partial()


@contextlib.contextmanager
def _restoring(path: str) -> Iterator[None]:
    try:
        yield
    except (tf.errors.OpError, AssertionError, IndexError, ValueError) as error:
        # A file that is cut short is an IndexError.
        raise OSError(f"The checkpoint {path} can't be restored: {_reason(error)}") from error


def _remove_unfinished(directory: pathlib.Path) -> None:
    """Removes what TensorFlow began to write and did not rename: a full disk, a kill."""
    for folder in directory.glob("step-*_temp*"):
        shutil.rmtree(folder)


def _reason(error: Exception) -> str:
    """The first line of TensorFlow's message, without the graph nodes it came through."""
    message = getattr(error, "message", None) or str(error)
    return re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", message).strip().splitlines()[0].strip()
