"""Whether a device computes in half precision, and how fast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import tensorflow as tf

from tf_diffaug.runs.doctor.findings import Finding, reason

# Images, side and channels of the convolution: 0.5 GFLOP with its gradients for a CPU, 230 for what
# would be done with that before it is started.
_SIZES = {"CPU": (8, 16, 64), "GPU": (256, 32, 128), "TPU": (256, 32, 128)}
_REPEATS = 3
# bfloat16 keeps 8 bits of a number; the sums below are of 576 products or more.
_ALLOWED = 0.05


def precisions(kind: str) -> Iterator[Finding]:
    """A convolution and its gradients in each precision, beside float32.

    Args:
        kind: of the device: CPU, GPU or TPU.
    """
    expected, float32 = _convolve("float32", kind)
    said, problems = [f"float32 {1000 * float32:.1f} ms"], []
    for name in ("bfloat16", "float16"):
        try:
            found, seconds = _convolve(name, kind)
        except (tf.errors.OpError, TypeError, ValueError) as error:
            said.append(f"{name} does not work ({reason(error)})")
            problems.append(name)
            continue
        apart = float(tf.norm(found - expected) / tf.norm(expected))
        said.append(f"{name} {float32 / seconds:.2g} times as fast")
        if not apart < _ALLOWED:
            said[-1] += f" and wrong ({apart:.2g} away)"
            problems.append(name)
    images, side, channels = _SIZES[kind]
    yield Finding(
        "precision",
        f"{', '.join(said)} (a 3x3 convolution of {images}x{side}x{side}x{channels} and its "
        "gradients)",
        f"{' and '.join(problems)} does not work here: train in float32." if problems else None,
    )


def _convolve(dtype: str, kind: str) -> tuple[tf.Tensor, float]:
    """The sum of what comes out and of both gradients over the batch, and the median seconds."""
    count, side, channels = _SIZES[kind]
    images = tf.random.stateless_normal([count, side, side, channels], [0, 0])
    kernel = tf.random.stateless_normal([3, 3, channels, channels], [0, 1])
    images, kernel = tf.cast(images, dtype), tf.cast(kernel / (9 * channels) ** 0.5, dtype)

    @tf.function(autograph=False)
    def run(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch((images, kernel))
            made = tf.nn.conv2d(images, kernel, 1, "SAME")
            loss = tf.reduce_mean(tf.square(tf.cast(made, tf.float32)))
        to_images, to_kernel = tape.gradient(loss, (images, kernel))
        # The kernel's gradient is of all the rest, which is computed on the way.
        tf.debugging.assert_all_finite(to_images, "a gradient is not finite")
        return tf.cast(made[0], tf.float32), tf.cast(to_kernel, tf.float32)

    made, _ = run(images, kernel)
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        tf.nest.map_structure(lambda x: x.numpy(), run(images, kernel)[1])
        seconds.append(time.perf_counter() - start)
    return made, statistics.median(seconds)
