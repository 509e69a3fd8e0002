"""The noise of a diffusion."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment.maps import FunctionMap, Map
from tf_diffaug.augment.noise import image_noise
from tf_diffaug.augment.op import CheckedOp, Params, Shape
from tf_diffaug.augment.registry import register

# Of Diffusion-GAN's code, diffusion-stylegan2: beta_start and beta_end; t_min and t_max.
_BETAS = (1e-4, 2e-2)
_LEAST, _MOST = 10, 1000


@register
@dataclasses.dataclass(frozen=True)
class DiffusionNoiseOp(CheckedOp):
    """What t steps of a diffusion make of an image: Diffusion-GAN's (arXiv:2206.02262).

    About mid-grey √ā·x + √(1 - ā)·sigma·N(0, 1), ā the product of 1 - beta over the first t of T
    steps, beta linear from 1e-4 to 2e-2 whatever T is. T = 10 + 990·s steps at the strength s, or
    at a part of it, the level that the regularizer `diffusion` sets. Half of the images stay as
    they are (t = 0), the others draw t from 1 to T with the weight t - 1. So in the authors' code
    (Zhendong-Wang/Diffusion-GAN, diffusion-stylegan2/training/diffusion.py), where batches draw
    from a table of 32 zeros and 32 such t that is made anew every few steps: here each image draws
    for itself, with the same odds. There D is told t; here it is not, as of no op.

    Parameters are `signal` (N,), √ā, `sigma` (N,), the noise's deviation, and a `seed` (N, 2) as of
    `instance_noise`: the same draw is the same noise on images of the same size.

    Attributes:
        strength: s.
        sigma: of the noise at ā = 0, in units of the value range; 0.05 on [-1, 1] in the code.
    """

    name: ClassVar[str] = "diffusion_noise"
    effect: ClassVar[str] = (
        "√ā·x + √(1 - ā)·`sigma`·N(0, 1) about mid-grey: t steps of a diffusion of T = 10 + 990·s "
        "steps"
    )
    draws: ClassVar[str] = "t = 0 for half of the images, else 1 to T with weight t - 1; a seed"
    num_draws: ClassVar[int] = 3
    has_level: ClassVar[bool] = True
    cases: ClassVar[tuple[str, ...]] = ("diffusion_noise(0.2, sigma=0.1)",)
    strength: float = 1.0
    sigma: float = 0.025

    def params(self, uniform: tf.Tensor, shape: Shape, level: float | tf.Tensor = 1.0) -> Params:
        del shape
        last = tf.round(_LEAST + (_MOST - _LEAST) * self.strength * level)
        log_kept = tf.gather(_log_kept(last), tf.cast(_steps(uniform[0], last), tf.int32))
        return {
            "signal": tf.exp(0.5 * log_kept),
            "sigma": self.sigma * tf.sqrt(-tf.math.expm1(log_kept)),
            "seed": tf.transpose(uniform[1:]),
        }

    def neutral_params(self, shape: Shape) -> Params:
        return self.params_at(0.0, shape)  # of t = 0; without strength there are some steps yet

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape
        low, high = value_range
        signal, sigma = (tf.stop_gradient(params[name]) for name in ("signal", "sigma"))
        signal = signal[:, None, None, None]
        gray = (1.0 - signal) * ((low + high) / 2)

        def diffuse(images: tf.Tensor) -> tf.Tensor:
            noise = image_noise(params["seed"], sigma * (high - low), images)
            return tf.cast(signal, images.dtype) * images + tf.cast(noise + gray, images.dtype)

        return FunctionMap(diffuse)


def _steps(uniform: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """t for each uniform number in [0, 1], of T = `last`, all float32."""
    share = 2.0 * uniform - 1.0
    # The weights up to k sum to k·(k - 1)/2: t is the first k at which that is above the share.
    total = 0.5 * last * (last - 1.0)
    found = tf.floor(0.5 + 0.5 * tf.sqrt(1.0 + 8.0 * tf.nn.relu(share) * total)) + 1.0
    return tf.where(share < 0.0, 0.0, tf.minimum(found, last))


def _log_kept(last: tf.Tensor) -> tf.Tensor:
    """log ā after 0, 1, ... steps of T = `last`; past T it means nothing."""
    first, end = _BETAS
    share = tf.minimum(tf.range(float(_MOST)) / (last - 1.0), 1.0)
    logs = tf.math.log1p(-(first + (end - first) * share))
    return tf.concat([[0.0], tf.cumsum(logs)], axis=0)
