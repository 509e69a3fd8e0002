"""What there is to look at of a run: samples through time, augmented images, the nearest reals."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_diffaug.errors import Failure, UserError, one_line, user_mistakes
from tf_diffaug.images import read_png
from tf_diffaug.runs import parts
from tf_diffaug.runs.generate import ImageSource
from tf_diffaug.runs.generate import nearest as nearest_sheet
from tf_diffaug.runs.preview import whole_policy
from tf_diffaug.runs.report.pictures import (
    Picture,
    encode_images,
    encode_within,
    sheets_through_time,
)
from tf_diffaug.runs.report.records import RunRecords
from tf_diffaug.runs.run import Run, load_run
from tf_diffaug.runs.saved import refuse_other_data

# Bytes of the page: with Bokeh's 1.3 MB and the curves, less than 5 MB.
_SAMPLES = 2_000_000
_AUGMENTED = 500_000
_NEAREST = 500_000
_NEAREST_SAMPLES = 6


class Augmented(NamedTuple):
    """Reals, and the same with the policy drawn on them, a row a draw."""

    reals: list[Picture]
    draws: list[list[Picture]]


class Looks(NamedTuple):
    """The pictures of a run; in place of one that cannot be had, why.

    Args:
        samples: sheets by step.
        augmented: what D sees, or why not.
        nearest: samples beside their nearest training images, or why not.
        nearest_of: which samples these are.
    """

    samples: list[tuple[int, Picture]]
    augmented: Augmented | str
    nearest: Picture | str
    nearest_of: str


def look_at(
    runs: Sequence[RunRecords],
    *,
    images: np.ndarray | None,
    nearest: bool,
    settings: Mapping[str, Any],
) -> list[Looks]:
    """The pictures of runs, which share the bytes of the page.

    Args:
        runs: the runs.
        images: the training images of the first, if they are at hand.
        nearest: whether nearest images are looked up where there is no sheet of them.
        settings: of each run's own that are others now.
    """
    return [
        _look_at(run, images if run is runs[0] else None, nearest, settings, len(runs))
        for run in runs
    ]


def _look_at(
    run: RunRecords,
    images: np.ndarray | None,
    nearest: bool,
    settings: Mapping[str, Any],
    share: int,
) -> Looks:
    found, missing = run.nearest_sheet(), ""
    restored = None
    if found is None and nearest:
        try:
            restored = _restore(run, settings)
            images = restored.data.images if images is None else images
        except (UserError, Failure) as error:
            missing = one_line(error)
    return Looks(
        sheets_through_time(run.samples(), _SAMPLES // share),
        _augmented(run, images, settings, share),
        *_nearest(found, restored, missing, _NEAREST // share),
    )


def _restore(run: RunRecords, settings: Mapping[str, Any]) -> Run:
    """The run with its images; without features, which may take long on many images."""
    with user_mistakes():
        restored = load_run(run.path, **{**settings, "fid_features": "none"})
        _ = restored.data
    return restored


def _augmented(
    run: RunRecords, images: np.ndarray | None, settings: Mapping[str, Any], share: int
) -> Augmented | str:
    policy = run.recipe.policy
    if not policy.ops:
        return "There is no policy: images are not augmented."
    try:
        with user_mistakes():
            images = _load(run, settings) if images is None else images
    except UserError as error:
        return f"The training images could not be had: {one_line(error)}"
    rows = whole_policy(policy, images, seed=run.recipe.config.seed)
    stacked = np.concatenate([row.images for row in rows])
    made, columns = encode_images(stacked, _AUGMENTED // share), len(rows[0].images)
    parted = [made[start : start + columns] for start in range(0, len(made), columns)]
    return Augmented(parted[0], parted[1:])


def _load(run: RunRecords, settings: Mapping[str, Any]) -> np.ndarray:
    config = dataclasses.replace(run.recipe.config, **settings)
    data = parts.load_data(config)
    refuse_other_data(run.path, {"data": run.facts}, parts.data_facts(data))
    return data.images


def _nearest(
    found: tuple[str, Any] | None, restored: Run | None, missing: str, most: int
) -> tuple[Picture | str, str]:
    if found is not None:
        name, path = found
        return encode_within(read_png(path), most), name
    if restored is None:
        return missing, ""
    draw = functools.partial(nearest_sheet, ImageSource(restored), count=_NEAREST_SAMPLES)
    return encode_within(draw().draw(), most), f"step {int(restored.gan.step):,}, by pixels"
