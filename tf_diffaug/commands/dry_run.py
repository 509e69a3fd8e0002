"""`train --dry_run`: everything but the run itself, and nothing written."""

from __future__ import annotations

import functools

import numpy as np

from tf_diffaug.commands import OK, saved_run
from tf_diffaug.commands.failures import failures
from tf_diffaug.data.packed import damage_named
from tf_diffaug.runs import labels, parts
from tf_diffaug.runs.recipe import Recipe
from tf_diffaug.titles import metric_titles
from tf_diffaug.training.loop import Hook, Loop, Steps

# The first step traces the graph; a few more tell the time.
_TIMED_STEPS = 5


class _Clock(Hook):
    """Seconds and losses of each step."""

    def __init__(self) -> None:
        super().__init__(every=1)
        self.seconds: list[float] = []
        self.losses: dict[str, float] = {}

    def after(self, steps: Steps) -> None:
        losses = {name: float(values[0]) for name, values in steps.losses.items()}
        self.losses = self.losses or losses
        self.seconds.append(steps.seconds)


@failures()
def try_out(recipe: Recipe) -> int:
    """Loads the data and the features, builds, takes a few steps, and says what was seen.

    Raises:
        ValueError: for a mistake in what was asked.
        Failure: if a loss is not finite, or there is not the memory.
    """
    config = recipe.config
    with saved_run.progress(of=saved_run.REALS) as report:
        built = parts.build(recipe, cache=False, progress=report)
    _, data, _, gan, _, evaluator, initial = built
    counts = parts.parameter_counts(gan)
    clock = _Clock()
    steps = min(1 + _TIMED_STEPS, config.steps)
    with damage_named(data.images):
        Loop(gan, functools.partial(parts.make_dataset, config, data)).run(steps, [clock])
    per_step = float(np.median(clock.seconds[1:] or clock.seconds))
    losses = ", ".join(f"{name} {value:.3f}" for name, value in clock.losses.items())
    measured = "nothing"
    if evaluator is not None:
        measured = f"{metric_titles(config.metric_names)} on {evaluator.extractor.name} features"
    lines = [
        "Dry run: it works, and no run was written.",
        f"  images      {len(data.images):,}, {'x'.join(map(str, data.images.shape[1:]))}",
        f"  parameters  G {counts['G']:,}, D {counts['D']:,}",
        *([] if initial is None else [f"  weights     {initial.sentence()}"]),
        *(f"  labels      {one}" for one in labels.notices(config, built.facts["label_counts"])),
        f"  first step  {losses} (all finite), {clock.seconds[0]:.1f} s with tracing",
        f"  each step   {1000 * per_step:.0f} ms on {gan.num_replicas} replica(s)",
        f"  in all      {_spell(per_step * config.steps)} for {config.steps:,} steps, beside what "
        "samples, evaluations and checkpoints take",
        f"  measured    {measured}",
        f"  would be in {config.run_dir}",
    ]
    print("\n".join(lines))
    return OK


def _spell(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.1f} {unit}"
    return f"about {seconds:.0f} seconds"
