"""From a settled recipe to its parts: where it computes, data, networks, the GAN, samples."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_diffaug import data as data_lib
from tf_diffaug.data import ImageData
from tf_diffaug.evaluation import load_extractor, resolve_features
from tf_diffaug.runs import labels, networks
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.evaluator import Evaluator, make_evaluator
from tf_diffaug.runs.init_from import InitialWeights, initialize
from tf_diffaug.runs.reals import Progress, check_evaluation
from tf_diffaug.runs.recipe import Recipe, check_place, images_per_step
from tf_diffaug.runs.sampler import Sampler
from tf_diffaug.runs.saved import refuse_other_data
from tf_diffaug.training import EMA, GAN, ScheduledAdam, make_strategy
from tf_diffaug.training.views import check_groups


class Parts(NamedTuple):
    """What a run is made of; without features there is no evaluator.

    `initial` is what was loaded into the networks of a new run that starts from trained weights.
    """

    strategy: tf.distribute.Strategy
    data: ImageData
    facts: dict[str, Any]
    gan: GAN
    sampler: Sampler
    evaluator: Evaluator | None
    initial: InitialWeights | None = None


def build(
    recipe: Recipe,
    saved: Mapping[str, Any] | None = None,
    *,
    cache: bool = True,
    evaluate: bool = True,
    progress: Progress = lambda done, total: None,
) -> Parts:
    """Builds everything that a run needs; writes nothing but the cache of the reals' features.

    Args:
        recipe: the settled recipe.
        saved: the contents of config.json of a run that goes on: other images than its own are
            refused as soon as they are loaded.
        cache: whether these may be kept in the user's cache directory.
        evaluate: whether to load the features and measure the reals, which may take a download; if
            not, there is no evaluator, and only what was asked of it is checked.
        progress: told how many of the reals are measured, of how many.

    Raises:
        ValueError: for a mistake in what was asked, whatever it is about.
    """
    config = recipe.config
    strategy = set_up(config)
    data = load_data(config)
    facts = data_facts(data)
    if saved is not None:
        refuse_other_data(pathlib.Path(config.run_dir), saved, facts)
    gan = make_gan(recipe, strategy, facts)
    initial = initialize(gan, config)
    sampler = make_sampler(gan, config)
    evaluator = None
    if evaluate:
        evaluator = make_evaluator(config, data, sampler, cache=cache, progress=progress)
    else:
        resolve_features(config.fid_features, config.dataset)
        check_evaluation(config, data)
    return Parts(strategy, data, facts, gan, sampler, evaluator, initial)


def set_up(config: Config) -> tf.distribute.Strategy:
    """Sets what holds for the whole process, and returns where the run computes.

    Raises:
        UserError: if it cannot train there.
        ValueError: if the strategy cannot be had.
    """
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = make_strategy(config.strategy)
    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    check_place(config, strategy.num_replicas_in_sync, on_tpu=on_tpu)
    return strategy


# What `load_data` looks at, beside where the images lie.
OF_IMAGES = (
    "dataset",
    "resolution",
    "channels",
    "fit",
    "conditional",
    "skip_broken",
    "data_fraction",
    "num_images",
    "subset",
    "data_seed",
    "label_fraction",
)


def load_data(config: Config) -> ImageData:
    """The images that the run trains on.

    Raises:
        ValueError: if they cannot be had as asked.
    """
    images = data_lib.load(
        config.dataset,
        data_dir=config.data_dir,
        resolution=config.resolution,
        channels=config.channels,
        fit=config.fit,
        labels=True if config.conditional else None,
        skip_broken=config.skip_broken,
    )
    images = data_lib.subset(
        images,
        fraction=config.data_fraction,
        num_images=config.num_images,
        mode=config.subset,
        seed=config.data_seed,
    )
    if config.label_fraction is None:
        return images
    return data_lib.hide_labels(images, config.label_fraction, seed=config.data_seed)


def is_flipped(config: Config, data: ImageData) -> bool:
    """Whether half of the reals are mirrored."""
    return data.flip if config.flip is None else config.flip


def make_gan(recipe: Recipe, strategy: tf.distribute.Strategy, facts: Mapping[str, Any]) -> GAN:
    """Networks, optimizers and the GAN, compiled.

    Args:
        recipe: the settled recipe.
        strategy: where it computes.
        facts: what the networks must know of the images, see `data_facts`.

    Raises:
        ValueError: if the networks cannot be made as asked, or not for these images.
    """
    config = recipe.config
    for regularizer in recipe.regularizers:
        regularizer.load_features(load_extractor)
    with strategy.scope():
        generator, discriminator = networks.networks_of(config, facts)
        gan = GAN(
            generator,
            discriminator,
            latent_dim=config.latent_dim,
            label_frequencies=labels.frequencies(config, facts["label_counts"]),
            policy=recipe.policy,
            augment=config.augment,
            loss=config.loss,
            regularizers=recipe.regularizers,
            policy_probability=config.policy_probability,
            d_steps=config.d_steps,
            ema=_average(config),
            views=config.views,
            num_images=facts.get("num_images"),
            seed=config.seed,
        )
        check_groups(gan.discriminator, config.batch_size // strategy.num_replicas_in_sync)
        optimizers = _adam(config, config.g_lr), _adam(config, config.d_lr)
        gan.compile(*optimizers, jit_compile=config.jit)
    return gan


def make_dataset(
    config: Config,
    data: ImageData,
    context: tf.distribute.InputContext | None = None,
    *,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Batches from a step on: each holds the reals of all D steps of one G step.

    Args:
        config: the settings.
        data: the images.
        context: whose batches are wanted: a replica's rows of them; by default the global ones.
        start_step: the step of the first batch.
    """
    if not config.conditional:  # labels that are not read are not shuffled along
        data = dataclasses.replace(data, labels=None, class_names=None)
    size = images_per_step(config)
    alone = context is None or context.num_replicas_in_sync == 1
    dataset = data_lib.batches(
        data,
        size,
        seed=config.seed,
        start_step=start_step,
        flip=is_flipped(config, data),
        shard=(0, 1) if alone else (context.input_pipeline_id, context.num_input_pipelines),
    )
    return dataset if alone else dataset.rebatch(context.get_per_replica_batch_size(size))


def make_sampler(gan: GAN, config: Config) -> Sampler:
    """Makes images the way this run evaluates and shows them.

    Raises:
        ValueError: if G can't be sampled so.
    """
    return Sampler(
        gan,
        ema=config.eval_ema,
        batch_norm=config.eval_batch_norm,
        truncation=config.truncation,
        standing_batch_size=config.batch_size,
    )


def parameter_counts(gan: GAN) -> dict[str, int]:
    """Trainable parameters of G and D."""
    return {
        name: sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)
        for name, network in (("G", gan.generator), ("D", gan.discriminator))
    }


def data_facts(data: ImageData) -> dict[str, Any]:
    """What config.json says of the data, and all that the networks must know of it."""
    counts = data.label_counts()
    return {
        "name": data.name,
        "num_images": len(data.images),
        "num_test": 0 if data.test is None else len(data.test),
        "fingerprint": data.fingerprint,
        "channels": data.images.shape[-1],
        "label_counts": None if counts is None else counts.tolist(),
        "class_names": None if data.class_names is None else list(data.class_names),
        "flip": data.flip,
    }


def _average(config: Config) -> EMA | None:
    if config.ema_half_life is None and config.ema_decay == 0:
        return None
    return EMA(
        config.ema_decay,
        start=config.ema_start,
        half_life=config.ema_half_life,
        ramp=config.ema_ramp,
    )


def _adam(config: Config, rate: float | str) -> keras.optimizers.Optimizer:
    scheduled = any(isinstance(value, str) for value in (rate, config.beta1, config.beta2))
    adam = ScheduledAdam if scheduled else keras.optimizers.Adam
    return adam(rate, beta_1=config.beta1, beta_2=config.beta2, epsilon=1e-8)
