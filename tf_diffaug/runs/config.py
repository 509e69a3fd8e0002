"""Every setting of a run, in one place: config.json holds them, the flags are made from them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from tf_diffaug.errors import UserError
from tf_diffaug.naming import unknown
from tf_diffaug.runs.contradictions import refuse_contradictions
from tf_diffaug.runs.settings import fits, refuse_out_of_range, words_of
from tf_diffaug.runs.settings import option as _option


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of a run. The defaults are the quick start's recipe.

    Raises:
        UserError: if a value is out of its range, or two contradict each other.
    """

    preset: str | None = _option(
        None, "a named recipe to start from; --preset=help lists them", group="Recipe"
    )
    policy: str = _option("none", "the augmentation, such as color,translation,cutout")
    augment: str | None = _option(
        None,
        "what the losses see augmented; both: DiffAugment",
        choices=("none", "reals", "d_only", "both"),
        unset="auto",
    )
    policy_probability: float | str | None = _option(
        None,
        "how likely an op is applied to an image: 0.5, or linear(0, 0.6, images=1e7)",
        least=0,
        most=1,
        scheduled=True,
        unset="always",
        rare=True,
    )
    regularizers: str = _option("none", "extra loss terms, such as r1:10 or bcr:10,cntr:0.1")

    dataset: str = _option(
        "emoji_faces",
        "emoji_faces, emoji, cifar10, cifar100, folder:PATH, folder:FILE.zip or packed:PATH",
        group="Images",
    )
    data_dir: str | None = _option(
        None, "folder with CIFAR's files, else downloaded", changeable=True, unset="auto"
    )
    resolution: int = _option(32, "pixels a side", least=1)
    channels: int = _option(
        3, "3: colour; 1: grey; 4: with transparency", choices=(1, 3, 4), rare=True
    )
    fit: str = _option(
        "crop",
        "how images become squares; pad or enlarge small ones",
        choices=("crop", "pad", "enlarge"),
        rare=True,
    )
    flip: bool | None = _option(None, "mirror half of the real images", unset="auto")
    skip_broken: bool = _option(
        False,
        "leave broken or too small image files out, replace damaged packed ones, and count them",
        changeable=True,
        rare=True,
    )
    num_images: int | None = _option(None, "train on this many images", least=1, unset="all")
    data_fraction: float | None = _option(
        None, "train on this share of the images", above=0, most=1, unset="all"
    )
    subset: str = _option(
        "random",
        "how part of the data is drawn; paper: DiffAugment's own draw",
        choices=("random", "paper", "balanced"),
        rare=True,
    )
    data_seed: int = _option(0, "draws the part of the data", least=0, rare=True)

    model: str = _option(
        "sndcgan",
        "sndcgan, biggan, stylegan2, r3gan, fastgan, or 'r3gan(depth=1)'",
        group="Networks",
    )
    conditional: bool = _option(False, "train with the dataset's labels (biggan, stylegan2, r3gan)")
    fake_labels: str = _option(
        "uniform",
        "labels of fakes: all alike, or as often as in the data",
        choices=("uniform", "data"),
        rare=True,
    )
    label_fraction: float | None = _option(
        None, "train with this share of the labels", above=0, most=1, unset="all", rare=True
    )
    width: int = _option(16, "base channels: the papers use 64 to 128", least=1)
    latent_dim: int = _option(128, "length of G's input z", least=1, rare=True)

    init_from: str | None = _option(
        None,
        "a run's or export's folder whose weights a new run starts from",
        unset="none",
    )
    init_checkpoint: str = _option(
        "newest", "newest, best or a step of the run in --init_from", rare=True
    )
    init_partly: bool = _option(
        False, "start fresh in layers that those of --init_from do not fit", rare=True
    )
    freeze_d: int = _option(
        0, "keep D's first blocks, this many, as in --init_from (FreezeD)", least=0, rare=True
    )

    # Adam's constants are those recalled of the second paper's SNDCGAN.
    loss: str = _option(
        "hinge",
        "hinge, smooth_hinge, non_saturating, wasserstein or relativistic",
        group="Training",
    )
    steps: int = _option(5000, "G steps in all", least=1, changeable=True)
    batch_size: int = _option(32, "images of a D step, over all replicas", least=1)
    d_steps: int = _option(1, "D steps per G step", least=1)
    g_lr: float | str = _option(
        2e-4,
        "G's learning rate: 2e-4, or cosine(2e-4, 5e-5, images=20e6)",
        above=0,
        scheduled=True,
    )
    d_lr: float | str = _option(2e-4, "D's learning rate, likewise", above=0, scheduled=True)
    beta1: float | str = _option(
        0.5,
        "Adam's decay of the mean gradient, likewise",
        least=0,
        below=1,
        scheduled=True,
        rare=True,
    )
    beta2: float | str = _option(
        0.999,
        "Adam's decay of the mean square, likewise",
        least=0,
        below=1,
        scheduled=True,
        rare=True,
    )
    ema_decay: float = _option(
        0.999,
        "decay a step of the average of G's weights; 0: none",
        least=0,
        below=1,
        rare=True,
    )
    ema_start: int = _option(0, "step from which G's weights are averaged", least=0, rare=True)
    ema_half_life: float | str | None = _option(
        None,
        "half-life of the average in images, in place of ema_decay, likewise",
        above=0,
        scheduled=True,
        unset="none",
        rare=True,
    )
    ema_ramp: float | None = _option(
        0.25,
        "the half-life is at most this share of the run so far",
        above=0,
        unset="none",
        rare=True,
    )
    seed: int = _option(0, "the run's seed: the same command gives the same bits", least=0)
    strategy: str = _option(
        "auto",
        "where it computes",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
    )
    precision: str = _option(
        "float32",
        "what the networks compute in; weights, losses and statistics stay float32",
        choices=("float32", "bfloat16", "float16"),
        rare=True,
    )
    jit: str = _option(
        "none",
        "whose update XLA compiles (on one device)",
        choices=("none", "generator", "discriminator", "both"),
        rare=True,
    )
    views: str = _option(
        "auto",
        "whether D sees a step's batches in one pass",
        choices=("auto", "joint", "separate"),
        rare=True,
    )
    deterministic: bool = _option(True, "the same bits every time, on a GPU too", rare=True)

    run_dir: str | None = _option(
        None,
        "folder of the run; auto: runs/, named by recipe",
        changeable=True,
        unset="auto",
        group="Written (every so many G steps; 0: only at the end)",
    )
    log_every: int = _option(50, "losses and other metrics", least=1, changeable=True)
    sample_every: int = _option(500, "sample grids", least=0, changeable=True)
    eval_every: int = _option(1000, "evaluations by --metrics", least=0, changeable=True)
    checkpoint_every: int = _option(500, "checkpoints", least=0, changeable=True)
    keep_checkpoints: int = _option(
        3, "newest checkpoints kept, besides the best", least=1, changeable=True, rare=True
    )
    report: bool = _option(True, "write report.html at the end", changeable=True, rare=True)

    # The evaluation protocol: a number means nothing without it.
    fid_features: str = _option(
        "auto",
        "auto, inception, efficientnet-lite0, emoji-cnn, none or a path",
        group="Evaluation",
    )
    metrics: str = _option(
        "fid",
        "measured in training, such as fid,kid,precision,recall",
        changeable=True,
    )
    best_by: str | None = _option(
        None,
        "the one of --metrics that chooses the best checkpoint; auto: fid, or else the first",
        unset="auto",
        rare=True,
    )
    num_fakes: int = _option(2000, "fakes that are measured; the papers use 10000", least=2)
    fid_split: str = _option(
        "auto", "real images that fakes are measured against", choices=("auto", "train", "test")
    )
    eval_batch_norm: str = _option(
        "moving",
        "statistics of G's batch norm in samples and FID",
        choices=("moving", "batch", "standing"),
        rare=True,
    )
    truncation: float | None = _option(
        None,
        "bound of z (biggan), or psi (stylegan2), in samples and FID",
        least=0,
        unset="none",
        rare=True,
    )
    eval_ema: bool = _option(True, "take samples and FID from the averaged G", rare=True)

    def __post_init__(self) -> None:
        for name, field in fields().items():
            refuse_out_of_range(field, getattr(self, name))
        refuse_contradictions(self, fields())

    @property
    def family(self) -> str:
        """The model's name, its options left out."""
        return self.model.split("(")[0].strip()

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics, once they are settled."""
        return tuple(self.metrics.split(","))

    @property
    def is_folder(self) -> bool:
        """Whether the images are files of the user's own."""
        return self.dataset.startswith(("folder:", "packed:"))

    @property
    def images_path(self) -> str:
        """Where these lie, as the user named it."""
        return self.dataset.partition(":")[2]

    def lasting(self) -> dict[str, Any]:
        """What makes two runs the same experiment: all that may not change on resume."""
        return {
            name: getattr(self, name)
            for name, field in fields().items()
            if not field.metadata["changeable"] and name != "preset"
        }


@functools.cache
def fields() -> dict[str, dataclasses.Field]:
    """The fields by name, in order."""
    return {field.name: field for field in dataclasses.fields(Config)}


def checked_settings(settings: dict[str, Any], source: str) -> dict[str, Any]:
    """Checks the names and types of settings read from a file; fills nothing in.

    Raises:
        UserError: if a name is unknown or a value of another type than its field.
    """
    for name, value in settings.items():
        if name not in fields():
            raise UserError(f"{source}: {unknown('setting', name, fields())}")
        if not fits(fields()[name], value):
            kind = words_of(fields()[name])
            raise UserError(f"{source}: {name} is {kind}. Received: {name}={value!r}.")
    return settings
