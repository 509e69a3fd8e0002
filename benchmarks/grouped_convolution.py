"""Times several forms of a grouped 3 × 3 convolution, forward and with its gradients.

    python benchmarks/grouped_convolution.py
    TF_ENABLE_ONEDNN_OPTS=0 python benchmarks/grouped_convolution.py

`GroupedConv2D` has the first two of these, which compute the same:

    one operation   `tf.nn.conv2d` with a kernel of one group's input channels
    joined N        dense convolutions of neighbouring groups, of N channels together
    products        one batched matrix product of all 3 × 3 windows, a batch entry a group
    depthwise       one depthwise convolution for each channel of a group, summed

`forward` is the outputs, `gradients` the outputs and both gradients, `second` the gradient that R1
takes: with respect to the kernel, of the gradient with respect to the images. All forms of a row
take turns. Without oneDNN the one operation has no gradient on a CPU, and is left out.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tensorflow as tf

from benchmarks import records
from benchmarks.timing import CLOCKS, Candidate, take_turns
from tf_diffaug.layers.grouped_conv import separately

# Batch, side, channels and groups: R3GAN on CIFAR-10 in its four stages, at 256 px in its last, on
# ImageNet, and slim.
SIZES = (
    *("8x4x1536x96", "8x8x1536x96", "8x16x1536x96", "8x32x1536x96"),
    *("1x256x192x12", "8x16x3072x96", "32x32x32x2"),
)
Form = Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]
_dense = functools.partial(tf.nn.conv2d, strides=1, padding="SAME")


def one_operation(images: tf.Tensor, kernel: tf.Tensor, groups: int) -> tf.Tensor:
    del groups
    return _dense(images, kernel)


def joined(images: tf.Tensor, kernel: tf.Tensor, groups: int, *, joined_channels: int) -> tf.Tensor:
    return separately(images, kernel, groups, convolve=_dense, joined_channels=joined_channels)


def products(images: tf.Tensor, kernel: tf.Tensor, groups: int) -> tf.Tensor:
    batch, height, width, channels = images.shape
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    taps = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    own = channels // groups
    windows = tf.stack([tf.reshape(tap, (-1, groups, own)) for tap in taps], axis=2)
    windows = tf.transpose(tf.reshape(windows, (-1, groups, 9 * own)), (1, 0, 2))
    kernels = tf.transpose(tf.reshape(kernel, (9, own, groups, -1)), (2, 0, 1, 3))
    outputs = tf.matmul(windows, tf.reshape(kernels, (groups, 9 * own, -1)))
    return tf.reshape(tf.transpose(outputs, (1, 0, 2)), (batch, height, width, -1))


def depthwise(images: tf.Tensor, kernel: tf.Tensor, groups: int) -> tf.Tensor:
    own, filters = kernel.shape[2:]
    if filters != own * groups:
        raise ValueError(f"It takes as many filters as channels. Received: {kernel.shape}.")
    grouped = tf.reshape(images, (*images.shape[:3], groups, own))
    kernels = tf.reshape(kernel, (3, 3, own, groups, own))
    outputs = 0.0
    for shift in range(own):
        # The filter at place f takes the channel at place f + shift.
        turned = tf.reshape(tf.roll(grouped, -shift, axis=4), images.shape)
        diagonal = tf.linalg.diag_part(
            tf.transpose(tf.roll(kernels, -shift, axis=2), (0, 1, 3, 2, 4))
        )
        own_kernel = tf.reshape(diagonal, (3, 3, filters, 1))
        outputs += tf.nn.depthwise_conv2d(turned, own_kernel, [1, 1, 1, 1], "SAME")
    return outputs


FORMS: dict[str, Form] = {
    "one operation": one_operation,
    **{
        f"joined {count}": functools.partial(joined, joined_channels=count)
        for count in (16, 32, 64, 128)
    },
    "products": products,
    "depthwise": depthwise,
}


def forward(form: Form, groups: int, images: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
    return [form(images, kernel, groups)]


def gradients(form: Form, groups: int, images: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        outputs = form(images, kernel, groups)
    # The outputs as their own upstream gradient: no further array to read.
    return [outputs, *tape.gradient(outputs, [images, kernel], output_gradients=outputs)]


def second(form: Form, groups: int, images: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as outer:
        outer.watch(kernel)
        with tf.GradientTape() as inner:
            inner.watch(images)
            outputs = form(images, kernel, groups)
        gradient = inner.gradient(outputs, images, output_gradients=tf.stop_gradient(outputs))
    return [outer.gradient(gradient, kernel, output_gradients=gradient)]


WORKS = {"forward": forward, "gradients": gradients, "second": second}


def operands(size: str, precision: str) -> tuple[tf.Tensor, tf.Tensor, int]:
    """Images, kernel and groups of a size as in `SIZES`."""
    batch, side, channels, groups = map(int, size.split("x"))
    shapes = (batch, side, side, channels), (3, 3, channels // groups, channels)
    images, kernel = (
        tf.cast(tf.random.stateless_normal(shape, (0, index)), precision)
        for index, shape in enumerate(shapes)
    )
    return images, kernel, groups


def candidate(run: Callable[[], list[tf.Tensor]], clock: Callable[[], float]) -> Candidate:
    def seconds() -> float:
        start = clock()
        for tensor in run():
            tensor.numpy()
        return clock() - start

    return seconds


def measure(arguments: argparse.Namespace, size: str, recorder: records.Recorder) -> None:
    images, kernel, groups = operands(size, arguments.precision)
    for work in arguments.works:
        candidates = {}
        for name in arguments.forms:
            function = tf.function(
                functools.partial(WORKS[work], FORMS[name], groups), autograph=False
            )
            run = functools.partial(function.get_concrete_function(images, kernel), images, kernel)
            try:
                run()
            except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
                recorder.missing(f"{size} {work} {name}", str(error).split("\n")[0])
                continue
            candidates[name] = candidate(run, CLOCKS[arguments.clock])
        for name, rounds in take_turns(candidates, repeats=arguments.repeats, warmups=1).items():
            recorder.add(f"{size} {work}", name, [1e3 * seconds for seconds in rounds], "ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="BATCHxSIDExCHANNELSxGROUPS")
    parser.add_argument("--forms", nargs="+", default=FORMS, choices=FORMS)
    parser.add_argument("--works", nargs="+", default=WORKS, choices=WORKS)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    records.add_flag(parser)
    arguments = parser.parse_args()
    recorder = records.Recorder(arguments.json)
    for size in arguments.sizes:
        measure(arguments, size, recorder)


if __name__ == "__main__":
    main()
