"""How a process makes the folder of a run its own."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from tf_diffaug.errors import UserError
from tf_diffaug.files import made_folders
from tf_diffaug.runs.checkpoints import newest_step
from tf_diffaug.runs.config import fields
from tf_diffaug.runs.directory import RunDirectory


def refuse_torn(run: RunDirectory, saved: dict[str, Any] | None) -> None:
    """Refuses a directory from which a part of a run is gone, so that the rest is not wiped.

    And one in which TensorFlow would not find its own checkpoints: it takes their names for
    patterns.

    Raises:
        UserError: naming what is wrong with it.
    """
    if set("*?[") & set(str(run.path.absolute())):
        raise UserError(
            "TensorFlow finds no checkpoints in folders with *, ? or [ in their names. "
            f"Received: --run_dir={run.path}."
        )
    has_checkpoint = newest_step(run.checkpoints) is not None
    if saved is None and has_checkpoint:
        raise UserError(
            f"{run.path} has checkpoints and no config.json that says of what. "
            "Give another --run_dir."
        )
    if saved is None or has_checkpoint:
        return
    settings = {"steps": fields()["steps"].default, **saved["settings"]}
    last = max((record["step"] for record in run.records()), default=0)
    first_saved = settings.get("checkpoint_every") or settings["steps"]
    if last > first_saved or (last and not run.checkpoints.is_dir()):
        raise UserError(
            f"{run.path} has records up to step {last:,} and no checkpoint: starting anew would "
            "wipe them. Put its checkpoints/ back, or give another --run_dir."
        )


@contextlib.contextmanager
def claimed(run: RunDirectory, config: dict[str, Any]) -> Iterator[None]:
    """Makes the directory this process's own, with its config.json; nothing was written before.

    Args:
        run: the directory, which need not be there.
        config: the contents of config.json.

    Raises:
        UserError: if another process has it, or it cannot be written to.
    """
    run_dir = run.path
    with contextlib.ExitStack() as stack:
        try:
            with made_folders(run_dir):
                folder = os.open(run_dir, os.O_RDONLY)
                stack.callback(os.close, folder)
                _lock(folder, run_dir)
                run.write_config(config)
                run.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {run_dir}: {error.strerror}.") from error
        yield


def _lock(folder: int, run_dir: pathlib.Path) -> None:
    try:
        # The kernel lets go of it however the process ends.
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems have no locks: better an unguarded run than none.
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise UserError(f"{run_dir} is in use by another process.") from error
