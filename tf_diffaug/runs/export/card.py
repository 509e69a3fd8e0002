"""A model card in Hugging Face's format: metadata, and what a user of the model must know."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

import tf_diffaug
from tf_diffaug.evaluation import resolve_features
from tf_diffaug.runs.export import usage
from tf_diffaug.runs.export.formats import FORMATS
from tf_diffaug.runs.export.numbers import Number, measured
from tf_diffaug.runs.generate.source import ImageSource
from tf_diffaug.runs.run import Run
from tf_diffaug.runs.words import protocol_words, recipe_in_words

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

CARD_PACKAGES = ("huggingface_hub",)
# The task as Hugging Face names it, of conditional generators too.
_TASK = "unconditional-image-generation"
_HUB_DATASETS = {"cifar10": "uoft-cs/cifar10", "cifar100": "uoft-cs/cifar100"}
# With so few reals an FID is mostly bias, and memorising is what to look for.
_FEW_IMAGES = 5000


def make_card(
    source: ImageSource,
    differences: Mapping[str, int],
    *,
    picture: str,
    discriminator: str | None = None,
    license: str | None = None,
    data_license: str | None = None,
) -> str:
    """The text of the card.

    Args:
        source: the images of the run.
        differences: the formats that were written, and how far they are from the source's pixels.
        picture: the file of the sheet of images.
        discriminator: the file of the discriminator, if there is one.
        license: of the model, as Hugging Face names it.
        data_license: of the images that it was trained on.

    Raises:
        ValueError: if the run's metrics are damaged.
    """
    from huggingface_hub import ModelCard

    step = int(source.run.gan.step.numpy())
    numbers, readings = measured(source.run, step)
    sections = {
        "Load": usage.loading(source, list(differences)),
        "Files": _files(differences, picture, discriminator),
        "Recipe": _recipe(source),
        "Data": _data(source, data_license),
        "Numbers": _numbers(numbers, step),
        "Memorisation": _memorisation(readings, numbers),
        "Limits": _limits(source, numbers),
    }
    if license is not None:
        sections["Licence"] = f"The model: {_plain(license)}."
    body = [f"# {_plain(_title(source))}", _summary(source, step), f"![Samples]({picture})"]
    body += [f"## {title}\n\n{text}" for title, text in sections.items()]
    metadata = _metadata(source, numbers, license)
    text = "\n\n".join(body)
    return str(ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}\n"))


def dataset_name(source: ImageSource) -> str:
    """The name of the data, of a folder without its place on this machine."""
    config = source.run.recipe.config
    if not config.is_folder:
        return config.dataset
    return pathlib.Path(config.images_path).name


def _title(source: ImageSource) -> str:
    config = source.run.recipe.config
    return f"{config.family} on {dataset_name(source)}, {config.resolution} px"


def _metadata(source: ImageSource, numbers: Iterable[Number], license: str | None) -> ModelCardData:
    from huggingface_hub import EvalResult, ModelCardData

    config, name = source.run.recipe.config, dataset_name(source)
    results = [
        EvalResult(
            task_type=_TASK,
            dataset_type=_HUB_DATASETS.get(config.dataset, name),
            dataset_name=name,
            dataset_split=number.protocol.get("split"),
            metric_type=number.name,
            metric_name=f"{number.title} ({protocol_words(number.protocol)})",
            metric_value=number.value,
        )
        for number in numbers
        if not number.name.startswith("leak")
    ]
    given: dict[str, Any] = {"eval_results": results, "model_name": _title(source)}
    if config.dataset in _HUB_DATASETS:
        given["datasets"] = [_HUB_DATASETS[config.dataset]]
    tags = ["gan", config.family, "image-generation", "tensorflow"]
    if config.policy != "none":
        tags.append("data-augmentation")
    return ModelCardData(
        license=license,
        library_name="tf-diffaug",
        pipeline_tag=_TASK,
        tags=tags,
        **(given if results else {k: v for k, v in given.items() if k == "datasets"}),
    )


def _summary(source: ImageSource, step: int) -> str:
    run, config = source.run, source.run.recipe.config
    averaged = config.eval_ema and run.gan.ema_generator is not None
    kind = "An unconditional" if source.num_classes is None else "A class-conditional"
    classes = "" if source.num_classes is None else f" of {source.num_classes} classes"
    channels = {1: "grey", 3: "colour", 4: "colour with transparency"}[run.facts["channels"]]
    sheet = f"Below, images 0 and on of seed {source.seed}."
    if source.num_classes is not None:
        sheet = "Below, a class a row; down a column the latents are the same."
    weights = "averaged weights" if averaged else "weights, not averaged,"
    name = _plain(dataset_name(source))
    return (
        f"{kind} generator of {config.resolution}x{config.resolution} images in {channels}"
        f"{classes}, trained on {run.facts['num_images']:,} images of {name}. "
        f"These are the {weights} at step {step:,}. {sheet}"
    )


def _files(differences: Mapping[str, int], picture: str, discriminator: str | None) -> str:
    rows = [
        f"| `{FORMATS[name].file}` | {FORMATS[name].summary} | "
        f"{'none' if not found else f'{found} of 255'} |"
        for name, found in differences.items()
    ]
    rows.append(f"| `{picture}` | samples | |")
    if discriminator is not None:
        rows.append(f"| `{discriminator}` | Keras model, to train on | |")
    head = "| file | what | largest difference from the run's own pixels |\n|---|---|---|"
    made = (
        f"Written by tf-diffaug {tf_diffaug.__version__} with TensorFlow {tf.__version__} and "
        f"Keras {keras.__version__}; Keras files are for this major version of Keras."
    )
    return "\n".join([head, *rows]) + f"\n\n{made}"


def _recipe(source: ImageSource) -> str:
    run = source.run
    config = run.recipe.config
    recipe = run.recipe.replace(dataset=dataset_name(source)) if config.is_folder else run.recipe
    flipped = run.facts.get("flip") if config.flip is None else config.flip
    words = recipe_in_words(
        recipe,
        num_images=run.facts["num_images"],
        is_flipped=flipped,
        fid_features=_features(run),
    )
    return "\n".join(f"- **{subject}**: {_plain(text)}" for subject, text in words.items())


def _features(run: Run) -> str:
    """What the run was measured with, or would be."""
    features = (run.directory.last("eval") or {}).get("protocol", {}).get("features")
    if isinstance(features, dict):
        return features["name"]
    return resolve_features(run.config.fid_features, run.config.dataset) or "none"


def _data(source: ImageSource, data_license: str | None) -> str:
    facts, name = source.run.facts, dataset_name(source)
    lines = [f"{facts['num_images']:,} images of {_plain(name)}."]
    if facts.get("num_test"):
        lines.append(f"{facts['num_test']:,} test images were not trained on.")
    if source.num_classes is not None and facts.get("class_names"):
        shown = ", ".join(
            f"{index} {_plain(source.class_name(index))}" for index in range(source.num_classes)
        )
        lines.append(f"Classes: {shown}.")
    lines.append(
        "Their licence was not stated; see where they come from."
        if data_license is None
        else f"Their licence: {_plain(data_license)}."
    )
    return " ".join(lines)


def _numbers(numbers: list[Number], step: int) -> str:
    if not numbers:
        return f"Nothing was measured at step {step:,}."
    rows = [
        f"| {_plain(number.title)} | {number.shown} | {_plain(protocol_words(number.protocol))} |"
        for number in numbers
    ]
    head = "| number | value | protocol |\n|---|---|---|"
    return "\n".join([head, *rows]) + (
        "\n\nNumbers compare only with numbers of the same features and protocol."
    )


def _memorisation(readings: Mapping[str, str], numbers: Iterable[Number]) -> str:
    if readings:
        return "\n".join(
            f"- {_plain(metric)}: {_plain(reading)}" for metric, reading in readings.items()
        )
    return (
        "Not measured at this step. Before images are shown as new, look at the training images "
        "nearest to them: `python -m tf_diffaug generate RUN_DIR --what=nearest`."
    )


def _limits(source: ImageSource, numbers: Iterable[Number]) -> str:
    run, config = source.run, source.run.recipe.config
    lines = [
        f"Images are of the kind that it was trained on, {config.resolution} pixels a side, and "
        "no others; whatever bias these have, its images have.",
    ]
    count = run.facts["num_images"]
    if count < _FEW_IMAGES:
        lines.append(
            f"It was trained on {count:,} images: it may repeat some of them, and an FID against "
            "so few is biased."
        )
    if config.eval_batch_norm == "batch":
        lines.append(
            "The numbers are of images normalised by each batch's own statistics; the files hold "
            "statistics of 100 batches instead, so that an image does not depend on its "
            "neighbours."
        )
    if any(n.protocol.get("chosen_on_same_data") for n in numbers):
        lines.append("The checkpoint was chosen by a number above, which flatters that number.")
    if source.truncation is not None:
        lines.append(f"Images are truncated ({source.truncation:g}): more typical, less varied.")
    return "\n".join(f"- {line}" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown and HTML leave as it is, on one line."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|#" else letter for letter in text)
