"""Small GANs of every network, loss and regularizer, each trained for some steps in this process.

    python -m tests.cells STRATEGY FOLDER [--replicas=4] [--partial]

What each has become goes into `FOLDER/CELL.npz`; of several workers each has a folder of its own.
"""

import argparse
import functools
import pathlib
import re

import numpy as np

from tests.conformance.test_regularizer_conformance import NAMES, NETWORKS, make_gan, text
from tests.networks import NUM_CLASSES, values
from tf_diffaug.training import LOSSES, REGULARIZERS

STEPS = 20
# Of each batch in a step: a multiple of 2, 3 and 4 replicas, each of which has whole groups of
# StyleGAN2's two images.
ROWS = 24
# The last batch of `fit`: some for each of 4 replicas, and none for some.
LEFT_OVER = (5, 2)
# Their sums over the images since the last change are left over after the last step.
TEXTS = {name: f"{name}(-0.9, every=3, kimg=0.5)" for name in ("ada", "apa", "diffusion")}
# Of gradient descent, and where that is too high: BigGAN's D would be dead after a few steps, and
# on the way there what was rounding grows; so it does where gradients jump, as those of FastGAN's
# pixel loss do. Of many penalties at once it grows sooner.
RATE = 1e-3
RATES = {"biggan": 1e-5, "fastgan": 1e-4, "reconstruction": 1e-4}
OF_ALL = 0.1


def _can_have(network, name):
    # Styles for the one, dense or convolutional layers of Keras in G for the other, and a
    # normalization of D for the third.
    missing = "orthogonal" if network == "stylegan2" else "path_length"
    normalized = network in ("sndcgan", "biggan") or name != "chain"
    maps = network == "fastgan" or not REGULARIZERS[name].needs_maps
    # The last two exclude apa and ada, and are among those alone.
    return normalized and maps and name not in (missing, "s3gan", "diffusion")


def cells():
    """What makes each GAN, by a name: each loss on each network, and each regularizer.

    A regularizer is alone on a network of the tests, and with all that go together on each other.
    """
    made = {name: functools.partial(_make, [name], rate=RATES.get(name, RATE)) for name in NAMES}
    for network, networks in NETWORKS.items():
        options = {f"{network}, {loss}": ((), {"loss": loss}) for loss in LOSSES}
        options[f"{network}, all"] = [name for name in NAMES if _can_have(network, name)], {}
        for cell, (names, own) in options.items():
            own["rate"] = RATES.get(network, RATE) * (OF_ALL if len(names) > 1 else 1.0)
            made[cell] = functools.partial(_make, names, networks=networks, **own)
    return made


def can_share_unevenly(name):
    """Whether a last batch may leave some replicas fewer images than others, or none."""
    # StyleGAN2's discriminator compares images in groups, a paired loss has two batches of them,
    # and path_length takes a part of each replica's, other rows than of one device if uneven.
    return not (name.startswith("stylegan2") or "relativistic" in name or name == "path_length")


def _make(names, **options):
    return make_gan(names, texts=[TEXTS.get(name, text(name)) for name in names], **options)


def _rows(gan):
    return ROWS * gan.objective.batches


def _data(gan):
    from tf_diffaug.data import ImageData

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5 * _rows(gan), *gan.image_shape), np.uint8)
    images[::2] //= 4  # neighbours in a batch are unlike
    labels = (np.arange(len(images)) % NUM_CLASSES).astype(np.int32)
    if any(term.fills_labels for term in gan.regularizers):
        labels[::7] = -1
    names = tuple(map(str, range(NUM_CLASSES)))
    classes = {} if gan.num_classes is None else {"labels": labels, "class_names": names}
    return ImageData("cells", images, **classes)


def _train(gan, data):
    """Trains as `train` does."""
    from tf_diffaug.runs.config import Config
    from tf_diffaug.runs.parts import make_dataset
    from tf_diffaug.training.loop import Hook, Loop

    config = Config(batch_size=_rows(gan), steps=STEPS, conditional=gan.num_classes is not None)
    history = []

    class Noted(Hook):
        def after(self, steps):
            history.append(steps.losses)

    loop = Loop(gan, functools.partial(make_dataset, config, data))
    assert loop.run(STEPS, [Noted()]) == STEPS
    return {name: np.concatenate([part[name] for part in history]) for name in history[0]}


def _fit(gan, data):
    """Trains by `fit`, whose batches need not be whole."""
    histories = []
    for left in LEFT_OVER:
        count = 2 * _rows(gan) + left
        labels = None if data.labels is None else data.labels[:count]
        fitted = gan.fit(
            data.images[:count], labels, batch_size=_rows(gan), shuffle=False, epochs=2, verbose=0
        )
        histories.append(fitted.history)
    return {name: np.concatenate([part[name] for part in histories]) for name in histories[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategy")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--replicas", type=int, default=1, help="logical CPUs")
    parser.add_argument("--partial", action="store_true", help="by fit, its last batches smaller")
    parser.add_argument("--only", default="", help="a pattern of the names' beginnings")
    arguments = parser.parse_args()

    import tensorflow as tf

    from tf_diffaug.training import make_strategy
    from tf_diffaug.training.workers import this_worker

    tf.get_logger().setLevel("ERROR")  # each GAN has a graph of its own, and TensorFlow counts them
    folder = arguments.folder
    if arguments.strategy == "multi_worker":
        folder = folder / str(this_worker().index)
    else:
        cpu = tf.config.list_physical_devices("CPU")[0]
        devices = [tf.config.LogicalDeviceConfiguration()] * arguments.replicas
        tf.config.set_logical_device_configuration(cpu, devices)
    strategy = make_strategy(arguments.strategy)
    folder.mkdir(parents=True)
    for name, make in cells().items():
        if not re.match(arguments.only, name):
            continue
        if arguments.partial and not can_share_unevenly(name):
            continue
        with strategy.scope():
            gan = make()
        train = _fit if arguments.partial else _train
        state = {"start": values(gan)}
        losses = train(gan, _data(gan))
        state["end"] = values(gan)
        arrays = {
            f"{when}/{group}/{index:03}": value
            for when, groups in state.items()
            for group, found in groups.items()
            for index, value in enumerate(found)
        }
        np.savez(folder / f"{name}.npz", **arrays, **{f"loss/{k}": v for k, v in losses.items()})
        print(name, flush=True)


if __name__ == "__main__":
    main()
