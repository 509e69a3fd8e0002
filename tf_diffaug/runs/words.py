"""A recipe in plain words, a text a subject, and how a number was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.language import parse_calls
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.recipe import Recipe
from tf_diffaug.schedules import in_words
from tf_diffaug.titles import metric_title, metric_titles
from tf_diffaug.training import Regularizer, get_loss

_WHERE = {
    "none": (
        "plain reals and plain fakes.",
        "D's judgement of plain fakes.",
    ),
    "reals": (
        "augmented reals, but plain fakes. The DiffAugment paper tries this and finds that G "
        "learns to make augmented images: expect traces of the augmentation in the samples.",
        "D's judgement of plain fakes.",
    ),
    "d_only": (
        "augmented reals and augmented fakes, drawn independently.",
        "D's judgement of plain fakes, which D never trains on. The DiffAugment paper tries this "
        "and finds that G's gradient loses its meaning: expect poor samples.",
    ),
    "both": (
        "augmented reals and augmented fakes, drawn independently, image by image.",
        "D's judgement of augmented fakes; the gradient goes through the augmentation.",
    ),
}
_BATCH_NORM = {
    "moving": "moving averages",
    "batch": "each batch's statistics",
    "standing": "standing statistics",
}


def value_in_words(value: Mapping[str, float] | None) -> str:
    """A value of an evaluation with its deviation over the seeds; of None a dash."""
    if value is None:
        return "-"
    mean, deviation = value["mean"], value.get("std")
    if deviation is None:
        return f"{mean:.4g}"
    # Rounding errors of equal values are no deviation.
    return f"{mean:.4g} ± {0.0 if deviation < 1e-9 * abs(mean) else deviation:.2g}"


def recipe_in_words(
    recipe: Recipe, *, num_images: int, is_flipped: bool | None, fid_features: str
) -> dict[str, str]:
    """The recipe in words, by subject.

    Args:
        recipe: the settled recipe.
        num_images: how many images it trains on.
        is_flipped: whether half of the reals are mirrored; None if that is not known.
        fid_features: the name of the extractor of what it measures, or `none`.
    """
    config = recipe.config
    d_sees, g_sees = _WHERE[config.augment]
    subjects = {
        "Images": _images(config, num_images),
        "Flips": None if is_flipped is None else _flips(config, is_flipped),
        "Augment": _augmentation(recipe),
        "D sees": d_sees,
        "G follows": g_sees,
        "Extra terms": _regularizers(recipe),
        "Networks": _networks(config),
        "Start": _start(config),
        "Training": _training(recipe),
        "Average": _average(config),
        "Evaluation": _evaluation(config, fid_features),
    }
    return {subject: text for subject, text in subjects.items() if text is not None}


def protocol_words(protocol: Mapping[str, Any]) -> str:
    """A protocol on one line, as far as it is stated."""
    features = protocol.get("features")
    name = features.get("name") if isinstance(features, dict) else features
    words = [] if name is None else [f"{name} features"]
    if "num_fakes" in protocol:
        words.append(f"{protocol['num_fakes']:,} fakes")
    if "num_reals" in protocol:
        words.append(f"{protocol['num_reals']:,} {protocol.get('split', 'real')} images")
    if "ema" in protocol:
        words.append("averaged weights" if protocol["ema"] else "weights not averaged")
    if "batch_norm" in protocol:
        words.append(
            f"batch norm by {_BATCH_NORM.get(protocol['batch_norm'], protocol['batch_norm'])}"
        )
    if protocol.get("truncation") is not None:
        words.append(f"truncation {protocol['truncation']:g}")
    if protocol.get("chosen_on_same_data"):
        words.append("checkpoint chosen on the same data")
    return ", ".join(words)


def _images(config: Config, num_images: int) -> str:
    if config.num_images is not None:
        part = f"{config.num_images} images"
    elif config.data_fraction is not None:
        part = f"{100 * config.data_fraction:g} % of the images"
    else:
        return f"{config.dataset} at {config.resolution} px, all {num_images:,} images."
    draw = {
        "random": "drawn at random",
        "paper": "drawn as DiffAugment's own code draws them, regardless of class",
        "balanced": "drawn with equal counts of every class",
    }[config.subset]
    return (
        f"{config.dataset} at {config.resolution} px, {part}, {draw} "
        f"once, from --data_seed={config.data_seed}."
    )


def _flips(config: Config, is_flipped: bool) -> str:
    who = "as this dataset says" if config.flip is None else "as asked"
    if is_flipped:
        return (
            f"half of the reals are mirrored, {who}; the fakes never are: flips are a property of "
            "the data, not a part of the augmentation."
        )
    return f"no images are mirrored, {who}."


def _augmentation(recipe: Recipe) -> str:
    config = recipe.config
    if not recipe.policy.ops:
        return "none: there is no policy, so images are never augmented."
    where = {
        "none": "nowhere in the adversarial losses",
        "reals": "on the reals only",
        "d_only": "in D's loss only",
        "both": "wherever D looks (DiffAugment)",
    }[config.augment]
    likely = ""
    if config.policy_probability is not None:
        likely = f"Each op is applied with probability {in_words(config.policy_probability)}. "
    return (
        f"{config.policy}, in this order, its parameters drawn anew for each image and step. "
        f"{likely}It is used {where}, augment={config.augment}: {recipe.why}."
    )


def _networks(config: Config) -> str:
    (model,) = parse_calls(config.model, what="model")
    latents = "uniform" if model.kwargs.get("latents") == "uniform" else "standard normal"
    text = (
        f"{config.model} at width {config.width}, {config.resolution} px, from "
        f"{config.latent_dim} {latents} latents"
    )
    if not config.conditional:
        return f"{text}; labels are not looked at."
    drawn = {"uniform": "drawn uniformly", "data": "drawn as often as the data has them"}
    beside = get_loss(config.loss).paired and config.label_fraction is None
    labels = "those of the reals beside them" if beside else drawn[config.fake_labels]
    text += f", and the class: fakes' labels are {labels}"
    if config.label_fraction is None:
        return f"{text}."
    known = f"{100 * config.label_fraction:g} % of the reals' labels are known"
    return f"{text}; {known}, drawn at random once, from --data_seed={config.data_seed}."


def _regularizers(recipe: Recipe) -> str:
    if not recipe.regularizers:
        return "none."
    return " ".join(
        f"{_named(regularizer)}: {regularizer.summary}." for regularizer in recipe.regularizers
    )


def _named(regularizer: Regularizer) -> str:
    return f"{regularizer} (uses the policy)" if regularizer.uses_policy else str(regularizer)


def _start(config: Config) -> str | None:
    if config.init_from is None:
        return None
    which = {"newest": "its newest checkpoint", "best": "its best checkpoint"}.get(
        config.init_checkpoint, f"its checkpoint of step {config.init_checkpoint}"
    )
    text = (
        f"G, the averaged G and D have the weights of {config.init_from} ({which}, or all that an "
        "export has); optimizers, the step and the extra terms' own weights start anew, and a run "
        "that is resumed goes on from its own checkpoint."
    )
    if config.init_partly:
        text += " Layers that do not fit start from --seed."
    if config.freeze_d:
        blocks = "block is" if config.freeze_d == 1 else f"{config.freeze_d} blocks are"
        text += f" D's first {blocks} kept as they were (FreezeD), their spectral norms too."
    return text


def _training(recipe: Recipe) -> str:
    config = recipe.config
    steps = "one D step" if config.d_steps == 1 else f"{config.d_steps} D steps"
    return (
        f"{config.steps:,} G steps, {steps} before each, of {config.batch_size} images; "
        f"{config.loss} loss: {get_loss(config.loss).summary}"
        f"{', in its update beside reals of its own' if get_loss(config.loss).paired else ''}. "
        f"Adam({in_words(config.g_lr)} for G, {in_words(config.d_lr)} for D, "
        f"betas {in_words(config.beta1)} and {in_words(config.beta2)}). Seed {config.seed} and the "
        f"step decide every draw.{_computing(config)}{_counting(recipe)}"
    )


def _computing(config: Config) -> str:
    text = ""
    if config.precision != "float32":
        text = f" The networks compute in {config.precision}; weights and losses are float32"
        scaled = ", and each network's loss is scaled" if config.precision == "float16" else ""
        text += f"{scaled}."
    if config.jit != "none":
        whose = {"generator": "G's updates", "discriminator": "D's updates"}
        text += f" XLA compiles {whose.get(config.jit, 'the updates of both')}."
    return text


def _counting(recipe: Recipe) -> str:
    if not recipe.is_scheduled:
        return ""
    config = recipe.config
    return (
        f" Schedules count {config.batch_size} images a G step, "
        f"{config.steps * config.batch_size:,} in all; past its end a value stays."
    )


def _average(config: Config) -> str:
    if config.ema_half_life is not None:
        rate = f"with a half-life in images of {in_words(config.ema_half_life)}"
    elif config.ema_decay > 0:
        rate = f"with decay {config.ema_decay:g} a step"
    else:
        return "none: G's own weights are sampled."
    since = f" from step {config.ema_start}" if config.ema_start else " from the start"
    if config.ema_ramp is not None:
        since += f", over at most {config.ema_ramp:.0%} of the steps so far as a half-life"
    use = "samples and FID are taken from it" if config.eval_ema else "samples and FID ignore it"
    return f"G's weights are averaged {rate}{since}; {use}. Batch-norm statistics are copied."


def _evaluation(config: Config, fid_features: str) -> str:
    if fid_features == "none":
        return "no FID."
    split = {
        "auto": "the test images if there are any, else the training images",
        "train": "the training images",
        "test": "the test images",
    }[config.fid_split]
    every = f"every {config.eval_every} steps and at the end" if config.eval_every else "at the end"
    statistics = {
        "moving": "moving averages",
        "batch": "each batch's statistics",
        "standing": "statistics of 100 batches taken for it",
    }
    truncated = "" if config.truncation is None else f", truncation {config.truncation:g}"
    extreme = {"lower": "lowest", "higher": "highest"}[METRICS[config.best_by].better]
    averaged = config.eval_ema and (config.ema_decay > 0 or config.ema_half_life is not None)
    generator = "the averaged G" if averaged else "G"
    return (
        f"{metric_titles(config.metric_names)} {every}: {config.num_fakes:,} fakes of {generator} "
        f"(batch norm by {statistics[config.eval_batch_norm]}{truncated}) against {split}, "
        f"features of {fid_features}. Only numbers of the same features and protocol compare. "
        f"The best checkpoint is that of the {extreme} {metric_title(config.best_by)}."
    )
