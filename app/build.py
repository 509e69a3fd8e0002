"""From a decided recipe to its parts: data, networks, the GAN, and the evaluation."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from app import networks
from app.config import Config
from app.errors import UserError, user_settings
from app.recipe import Recipe
from tf_diffaug import data as data_lib
from tf_diffaug import random
from tf_diffaug.data import ImageData
from tf_diffaug.evaluation import (
    evaluate_fid,
    load_extractor,
    reference_statistics,
    resolve_features,
)
from tf_diffaug.training import EMA, GAN, Sampler, make_strategy
from tf_diffaug.training.modes import FAILURES

# Any size gives the same features; larger ones only take more memory.
_EVAL_BATCH = 128


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Measures the FID of a GAN in one fixed protocol.

    Args:
        config: the settings.
        extractor: what makes the features.
        split: which reals the reference is of, `train` or `test`.
        reference: their statistics.
    """

    config: Config
    extractor: Any
    split: str
    reference: Any

    def __call__(self, gan: GAN, sampler: Sampler) -> dict[str, Any]:
        """Returns `{'fid': ..., 'protocol': ...}` of what `make_sampler` made."""
        config = self.config
        sample = fakes(sampler, config.seed)
        return evaluate_fid(
            sample,
            self.reference,
            self.extractor,
            num_fakes=config.num_fakes,
            batch_size=self.batch_size,
            protocol=self.protocol(gan),
        )

    @property
    def batch_size(self) -> int:
        """Samples at once."""
        # Batch statistics depend on the batch: that of training, as in the papers' code.
        batch = self.config.eval_batch_norm == "batch"
        return self.config.batch_size if batch else _EVAL_BATCH

    def protocol(self, gan: GAN) -> dict[str, Any]:
        """What the settings say of how samples are made and measured, see `evaluate_fid`."""
        config = self.config
        return {
            "split": self.split,
            "ema": config.eval_ema and gan.ema_generator is not None,
            "batch_norm": config.eval_batch_norm,
            "labels": config.fake_labels if config.conditional else "none",
            "truncation": config.truncation,
            "step": int(gan.step.numpy()),
            "chosen_on_same_data": False,
        }


def set_up(config: Config) -> tf.distribute.Strategy:
    """Sets what holds for the whole process, and returns where the run computes.

    Raises:
        UserError: if the strategy cannot be had, or the batch does not divide among its replicas.
    """
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with user_settings():
        strategy = make_strategy(config.strategy)
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise UserError(
            f"--batch_size must be a multiple of the {replicas} replicas that share it. "
            f"Received: --batch_size={config.batch_size}."
        )
    return strategy


def load_data(config: Config) -> ImageData:
    """The images that the run trains on.

    Raises:
        UserError: if they cannot be had as asked.
    """
    with user_settings():
        images = data_lib.load(
            config.dataset,
            data_dir=config.data_dir,
            resolution=config.resolution,
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


def flips(config: Config, data: ImageData) -> bool:
    """Whether half of the reals are mirrored."""
    return data.flip if config.flip is None else config.flip


def make_gan(recipe: Recipe, strategy: tf.distribute.Strategy, data: ImageData) -> GAN:
    """Networks, optimizers and the GAN, compiled.

    Raises:
        UserError: if the networks cannot be made as asked, or not for these images.
    """
    config = recipe.config
    if config.conditional and data.labels is None:
        raise UserError(
            f"{config.dataset} has no labels (a folder has those of its subfolders): drop "
            "--conditional, or choose another dataset. Received: --conditional."
        )
    classes = data.num_classes if config.conditional else None
    if config.augment in FAILURES:
        print(f"Warning: {FAILURES[config.augment]}", file=sys.stderr)
        logging.getLogger("tf_diffaug.training.gan").setLevel(logging.ERROR)  # it says the same
    with strategy.scope(), user_settings():
        generator, discriminator = networks.make(config, data.images.shape[-1], classes)
        gan = GAN(
            generator,
            discriminator,
            latent_dim=config.latent_dim,
            label_frequencies=_frequencies(config, data),
            policy=recipe.policy,
            augment=config.augment,
            loss=config.loss,
            regularizers=recipe.regularizers,
            d_steps=config.d_steps,
            ema=_average(config),
            views=config.views,
            seed=config.seed,
        )
        gan.check_batch_size(config.batch_size // strategy.num_replicas_in_sync)
        gan.compile(_adam(config, config.g_lr), _adam(config, config.d_lr), jit_compile=False)
    return gan


def make_dataset(config: Config, data: ImageData, *, start_step: int = 0) -> tf.data.Dataset:
    """Batches from a step on: each holds the reals of all D steps of one G step."""
    with user_settings():
        return data_lib.batches(
            data if config.conditional else _unlabelled(data),
            config.batch_size * config.d_steps,
            seed=config.seed,
            start_step=start_step,
            flip=flips(config, data),
        )


def make_evaluator(config: Config, data: ImageData, *, cache: bool = True) -> Evaluator | None:
    """Loads the extractor and the reference at once, so that a missing one is said now.

    Args:
        config: the settings.
        data: the images.
        cache: whether the reference's statistics may be kept in the user's cache directory.

    Raises:
        UserError: if the extractor cannot be had, or there is no split as asked.
    """
    with user_settings():
        name = resolve_features(config.fid_features, config.dataset)
        if name is None:
            return None
        split, images = reference_images(config, data)
        extractor = load_extractor(name)
        reference = reference_statistics(images, extractor, cache_dir="auto" if cache else None)
        return Evaluator(config, extractor, split, reference)


def reference_images(config: Config, data: ImageData) -> tuple[str, np.ndarray]:
    """The split an FID is measured against, and its images.

    Raises:
        UserError: if the data has no test images and they were asked for, or too few.
    """
    if config.fid_split == "test" and data.test is None:
        raise UserError(
            f"{config.dataset} has no test images. Received: --fid_split=test. "
            "Choose train or auto."
        )
    split = config.fid_split
    if split == "auto":
        split = "train" if data.test is None else "test"
    images = data.images if split == "train" else data.test
    if len(images) < 2:
        raise UserError(
            f"an FID is against 2 images or more: add --fid_features=none. "
            f"Received: {len(images)} image of the {split} split."
        )
    return split, images


def fakes(sampler: Sampler, seed: int) -> Callable[[int, int], tf.Tensor]:
    """Samples as `evaluate_fid` asks for them, a function of the seed and the batch's index."""
    return lambda index, count: sampler(count, random.derive(seed, "sample", step=index))


def parameter_counts(gan: GAN) -> dict[str, int]:
    """Trainable parameters of G and D."""
    return {
        name: sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)
        for name, network in (("G", gan.generator), ("D", gan.discriminator))
    }


def facts(data: ImageData) -> dict[str, Any]:
    """What config.json says of the data."""
    return {
        "name": data.name,
        "num_images": len(data.images),
        "num_test": 0 if data.test is None else len(data.test),
        "fingerprint": data.fingerprint,
    }


def make_sampler(gan: GAN, config: Config) -> Sampler:
    """Makes images the way this run evaluates and shows them.

    Raises:
        UserError: if G can't be sampled so.
    """
    with user_settings():
        return Sampler(
            gan,
            ema=config.eval_ema,
            batch_norm=config.eval_batch_norm,
            truncation=config.truncation,
            standing_batch_size=config.batch_size,
        )


def _frequencies(config: Config, data: ImageData) -> np.ndarray | None:
    if config.fake_labels == "uniform":
        return None
    known = data.labels[data.labels >= 0]
    return np.bincount(known, minlength=data.num_classes) / len(known)


def _unlabelled(data: ImageData) -> ImageData:
    # Labels that are not read are not shuffled along.
    return dataclasses.replace(data, labels=None, class_names=None)


def _average(config: Config) -> EMA | None:
    if config.ema_half_life is None and config.ema_decay == 0:
        return None
    return EMA(
        config.ema_decay,
        start=config.ema_start,
        half_life=config.ema_half_life,
        ramp=config.ema_ramp,
    )


def _adam(config: Config, rate: float) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(rate, beta_1=config.beta1, beta_2=config.beta2, epsilon=1e-8)
