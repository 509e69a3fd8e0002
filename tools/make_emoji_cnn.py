"""Trains the network behind the `emoji-cnn` features and writes its weights.

    python tools/make_emoji_cnn.py

It learns to tell each emoji, and its category, from all others while they turn, zoom, blur, change
hue and get noisy. None of these is an op of the published policy: brightness, contrast, saturation,
shifts and holes stay visible in the features. The same seed, machine and TensorFlow give the same
file.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tf_diffaug import random  # noqa: E402
from tf_diffaug.data import load  # noqa: E402
from tf_diffaug.evaluation.emoji_cnn import (  # noqa: E402
    IMAGE_SIZE,
    NUM_FEATURES,
    WEIGHTS,
    embed,
    weight_shapes,
)

MAX_TURN = 15.0  # degrees
ZOOM = (0.85, 1.15)
MAX_HUE = 15.0  # degrees in the YIQ plane
MAX_NOISE = 16.0  # standard deviation, in grey levels
MAX_BLUR = 1.0  # share of the binomial 5x5 blur
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32) / 256


def distort(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Turns, zooms, blurs, re-hues and adds noise to float images in [0, 255], each its own way."""
    seeds = [random.fold_in(seed, index) for index in range(6)]
    batch = tf.shape(images)[0]

    def draw(index: int, minval: float, maxval: float) -> tf.Tensor:
        return random.uniform((batch,), seeds[index], minval, maxval)

    images = turn_and_zoom(images, draw(0, -MAX_TURN, MAX_TURN), draw(1, *ZOOM))
    images = change_hue(images, draw(2, -MAX_HUE, MAX_HUE))
    kernel = tf.tile(tf.constant(BINOMIAL)[:, :, None, None], (1, 1, 3, 1))
    padded = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]], "SYMMETRIC")
    blurred = tf.nn.depthwise_conv2d(padded, kernel, (1, 1, 1, 1), "VALID")
    images += draw(3, 0.0, MAX_BLUR)[:, None, None, None] * (blurred - images)
    noise = random.normal(tf.shape(images), seeds[4])
    return images + draw(5, 0.0, MAX_NOISE)[:, None, None, None] * noise


def turn_and_zoom(images: tf.Tensor, degrees: tf.Tensor, zoom: tf.Tensor) -> tf.Tensor:
    """Rotates about the centre and magnifies, the border repeated outwards."""
    angle, centre = degrees * (np.pi / 180), (IMAGE_SIZE - 1) / 2
    cos, sin = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    zero = tf.zeros_like(cos)
    shift_x = centre - cos * centre + sin * centre
    shift_y = centre - sin * centre - cos * centre
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([cos, -sin, shift_x, sin, cos, shift_y, zero, zero], axis=1),
        output_shape=(IMAGE_SIZE, IMAGE_SIZE),
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def change_hue(images: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Rotates the colour plane of YIQ; grey stays grey and the luma as it is."""
    angle = degrees * (np.pi / 180)
    cos, sin, zero, one = tf.cos(angle), tf.sin(angle), tf.zeros_like(angle), tf.ones_like(angle)
    plane = tf.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1)
    turn = np.linalg.inv(YIQ) @ tf.reshape(plane, (-1, 3, 3)) @ YIQ
    return tf.einsum("nhwc,ndc->nhwd", images, turn)


def make_variables(num_images: int, num_categories: int, seed: int) -> dict[str, tf.Variable]:
    """He-normal weights of the network and of its two classifiers."""
    shapes = weight_shapes()
    shapes["instance/kernel"] = (NUM_FEATURES, num_images)
    shapes["category/kernel"] = (NUM_FEATURES, num_categories)
    variables = {}
    for index, (name, shape) in enumerate(shapes.items()):
        if name.endswith("bias"):
            variables[name] = tf.Variable(tf.zeros(shape))
            continue
        scale = (2 / np.prod(shape[:-1])) ** 0.5
        draw = random.normal(shape, random.derive(seed, "init", step=index))
        variables[name] = tf.Variable(scale * draw)
    return variables


def classify(weights: dict[str, tf.Variable], images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits over instances and over categories."""
    hidden = tf.nn.leaky_relu(embed(weights, images), 0.1)
    return hidden @ weights["instance/kernel"], hidden @ weights["category/kernel"]


def train(
    images: np.ndarray, categories: np.ndarray, *, steps: int, batch_size: int, seed: int
) -> dict[str, tf.Variable]:
    """Returns the trained weights."""
    images = tf.constant(images)
    categories = tf.constant(categories, tf.int32)
    weights = make_variables(len(images), int(categories.numpy().max()) + 1, seed)
    variables = list(weights.values())
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    optimizer = keras.optimizers.Adam(rate)
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits
    optimizer.build(variables)

    @tf.function
    def train_step(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        draw = random.derive(seed, "data_order", step=step)
        chosen = random.integers((batch_size,), draw, 0, len(images))
        batch = tf.cast(tf.gather(images, chosen), tf.float32)
        batch = distort(batch, random.derive(seed, "augment", step=step))
        with tf.GradientTape() as tape:
            instance, category = classify(weights, batch)
            loss = tf.reduce_mean(cross_entropy(chosen, instance))
            loss += tf.reduce_mean(cross_entropy(tf.gather(categories, chosen), category))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        right = tf.argmax(instance, -1, tf.int32) == chosen
        return loss, tf.reduce_mean(tf.cast(right, tf.float32))

    start = time.time()
    for step in range(steps):
        loss, right = train_step(tf.constant(step, tf.int64))
        if step % 250 == 0 or step == steps - 1:
            seconds = time.time() - start
            print(
                f"step {step:5d}  loss {loss:.3f}  right {right:.3f}  {seconds:.0f} s", flush=True
            )
    return weights


def standardise(weights: dict[str, np.ndarray], images: np.ndarray) -> None:
    """Scales the last layer so that each feature has mean 0 and variance 1 over the images."""
    features = np.concatenate(
        [
            embed(weights, tf.cast(images[i : i + 256], tf.float32))
            for i in range(0, len(images), 256)
        ]
    ).astype(np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    weights["dense/kernel"] = (weights["dense/kernel"] / deviation).astype(np.float32)
    weights["dense/bias"] = ((weights["dense/bias"] - mean) / deviation).astype(np.float32)


def accuracy(
    weights: dict[str, tf.Variable], images: np.ndarray, *, seed: int | None = None
) -> float:
    """The share of emoji named right, distorted if there is a seed."""
    right = []
    for start in range(0, len(images), 256):
        batch = tf.cast(images[start : start + 256], tf.float32)
        if seed is not None:
            batch = distort(batch, random.derive(seed, "measure", step=start))
        instance, _ = classify(weights, batch)
        right.append(tf.argmax(instance, -1).numpy() == np.arange(start, start + len(batch)))
    return float(np.concatenate(right).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    tf.config.experimental.enable_op_determinism()
    data = load("emoji")
    weights = train(
        data.images, data.labels, steps=args.steps, batch_size=args.batch_size, seed=args.seed
    )
    plain, distorted = (
        accuracy(weights, data.images),
        accuracy(weights, data.images, seed=args.seed),
    )
    print(f"right among {len(data.images)}: plain {plain:.4f}, distorted {distorted:.4f}")
    kept = {name: weights[name].numpy() for name in weight_shapes()}
    standardise(kept, data.images)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.output, **{k: v.astype(np.float16) for k, v in kept.items()})
    print(f"wrote {args.output}, {args.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
