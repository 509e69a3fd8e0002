"""A saved run as an object: its recipe, its images, its GAN with the weights of a checkpoint."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from typing import Any

from tf_diffaug.data import ImageData
from tf_diffaug.errors import Failure, one_line
from tf_diffaug.runs import parts
from tf_diffaug.runs.checkpoints import CheckpointStore, find_checkpoint
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.evaluator import Evaluator, make_evaluator
from tf_diffaug.runs.reals import Progress
from tf_diffaug.runs.recipe import Recipe, settle
from tf_diffaug.runs.sampler import Sampler
from tf_diffaug.runs.saved import need_saved, refuse_other_data
from tf_diffaug.training import GAN


@dataclasses.dataclass(frozen=True)
class Run:
    """What `load_run` returns.

    Args:
        directory: where everything of the run lies.
        recipe: its settings.
        facts: what it was trained on, see `parts.data_facts`.
        gan: its networks, with the weights of the checkpoint.
        checkpoint: which one was asked for.
        seed: of what is sampled and measured.
    """

    directory: RunDirectory
    recipe: Recipe
    facts: dict[str, Any]
    gan: GAN
    checkpoint: str
    seed: int

    @property
    def config(self) -> Config:
        """Its settings, with the seed that samples are drawn by."""
        return dataclasses.replace(self.recipe.config, seed=self.seed)

    @functools.cached_property
    def data(self) -> ImageData:
        """The images that it was trained on, loaded when first asked for.

        Raises:
            ValueError: if they cannot be had, or are other ones.
        """
        data = parts.load_data(self.recipe.config)
        refuse_other_data(self.directory.path, {"data": self.facts}, parts.data_facts(data))
        return data

    @functools.cached_property
    def sampler(self) -> Sampler:
        """Makes images the way that the run evaluates and shows them."""
        return parts.make_sampler(self.gan, self.config)

    def steady_sampler(self, truncation: float | None = None) -> Sampler:
        """Makes images each of which depends on its own latents and label alone.

        As `sampler` does, but where the run evaluates by a batch's statistics, by standing ones:
        those of a batch would make an image depend on its neighbours.

        Args:
            truncation: in place of the run's own.

        Raises:
            ValueError: if G can't be sampled so.
        """
        truncation = self.config.truncation if truncation is None else truncation
        if truncation not in self._steady_samplers:
            batch_norm = self.config.eval_batch_norm
            steady = "standing" if batch_norm == "batch" else batch_norm
            config = dataclasses.replace(self.config, eval_batch_norm=steady, truncation=truncation)
            self._steady_samplers[truncation] = parts.make_sampler(self.gan, config)
        return self._steady_samplers[truncation]

    @functools.cached_property
    def _steady_samplers(self) -> dict[float | None, Sampler]:
        return {}

    def evaluator(self, progress: Progress = lambda done, total: None) -> Evaluator | None:
        """What measures it as in training, in its own protocol; None for one without features.

        Args:
            progress: told how many of the reals are done, of how many.
        """
        return make_evaluator(self.config, self.data, self.sampler, progress=progress)


def load_run(
    run_dir: str | os.PathLike,
    *,
    checkpoint: str = "newest",
    seed: int | None = None,
    **settings: Any,
) -> Run:
    """Takes up a run as its config.json says, on one device.

    >>> run = load_run("runs/NAME")  # doctest: +SKIP
    >>> run.sampler(16, run.config.seed)  # doctest: +SKIP

    Args:
        run_dir: its folder; nothing in it is changed.
        checkpoint: `newest`, `best` (by its `best_by`) or the number of a step.
        seed: of what will be sampled; by default the run's.
        **settings: evaluation settings of `Config` in place of the run's own, such as `num_fakes`
            or `fid_features`; `dataset` and `data_dir` where its images lie now.

    Raises:
        UserError: if there is no such run or checkpoint.
        Failure: if the checkpoint cannot be restored.
    """
    run_dir = pathlib.Path(run_dir)
    saved = need_saved(run_dir)
    path = find_checkpoint(run_dir, checkpoint)
    recipe = settle(Config(**{**saved["settings"], "strategy": "one_device", **settings}))
    facts = saved.get("data", {})
    if "label_counts" not in facts:  # as runs of older versions
        facts = parts.data_facts(parts.load_data(recipe.config))
        refuse_other_data(run_dir, saved, facts)
    gan = parts.make_gan(recipe, parts.set_up(recipe.config), facts)
    try:
        CheckpointStore(gan, path.parent).load(str(path))
    except OSError as error:
        raise Failure(one_line(error)) from error
    seed = recipe.config.seed if seed is None else seed
    return Run(RunDirectory(run_dir), recipe, facts, gan, checkpoint, seed)
