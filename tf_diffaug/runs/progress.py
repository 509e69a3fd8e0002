"""The progress bar of a run."""

from __future__ import annotations

import keras
from tqdm.auto import tqdm

from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.words import metric_title


class Progress(keras.callbacks.Callback):
    """A bar with the step, the losses, what was last measured and the time left.

    Args:
        run: where the last evaluation is read.
        total: the step at which the run ends.
        interval: seconds between updates; a log file gets a line every so often instead of a bar.
    """

    def __init__(self, run: RunDirectory, total: int, *, interval: float = 0.5) -> None:
        super().__init__()
        self._run = run
        self._total = total
        self._interval = interval
        self._bar: tqdm | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._bar = tqdm(
            total=self._total,
            initial=int(self.model.step.numpy()),
            unit="step",
            mininterval=self._interval,
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        shown = {name: f"{float(value):.2f}" for name, value in (logs or {}).items()}
        for name, value in (self._run.last("eval") or {}).items():
            if name in METRICS:
                shown[metric_title(name)] = f"{value:{'.1f' if name == 'fid' else '.3g'}}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(int(self.model.step.numpy()) - self._bar.n)

    def close(self) -> None:
        """Ends the bar's line, whatever ended the run."""
        if self._bar is not None:
            self._bar.close()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.close()
