"""The progress bar of a run."""

from __future__ import annotations

from tqdm.auto import tqdm

from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.titles import metric_title
from tf_diffaug.training.loop import Hook, Steps


class Progress(Hook):
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

    def begin(self, step: int) -> None:
        self._bar = tqdm(
            total=self._total,
            initial=step,
            unit="step",
            mininterval=self._interval,
            dynamic_ncols=True,
        )

    def glance(self, step: int) -> None:
        self._bar.update(step - self._bar.n)

    def after(self, steps: Steps) -> None:
        shown = {name: f"{values[-1]:.2f}" for name, values in steps.losses.items()}
        for name, value in (self._run.last("eval") or {}).items():
            if name in METRICS:
                shown[metric_title(name)] = f"{value:{'.1f' if name == 'fid' else '.3g'}}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(steps.last - self._bar.n)

    def close(self) -> None:
        """Ends the bar's line, whatever ended the run."""
        if self._bar is not None:
            self._bar.close()

    def end(self, step: int) -> None:
        self.close()
