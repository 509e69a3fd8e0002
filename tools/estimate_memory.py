"""Estimates the memory of each full preset's step: the table in `runs/doctor/recipes.py`.

    python tools/estimate_memory.py [PRESET ...]

Traces the step of every recipe, or of those named, at its published size and batch; nothing is
trained. Prints a line a preset to be pasted there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tensorflow as tf

from tf_diffaug.commands.presets import PRESETS, QUICK
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.doctor.memory import live_bytes, state_bytes
from tf_diffaug.runs.parts import make_gan
from tf_diffaug.runs.recipe import Recipe, settle
from tf_diffaug.training import make_strategy

CLASSES = {"cifar10": 10, "cifar100": 100}
IMAGENET_CLASSES = 1000
# What changes the step, and with it the estimate.
FIELDS = (
    *("model", "conditional", "resolution", "width", "latent_dim", "policy", "augment"),
    *("regularizers", "loss", "batch_size", "d_steps", "ema_decay"),
)


def main() -> None:
    known: dict[tuple, tuple[float, float]] = {}
    for preset in PRESETS.values():
        if preset.name.startswith(QUICK) or preset.name not in (sys.argv[1:] or PRESETS):
            continue
        recipe = settle(Config(**preset.settings))
        config = recipe.config
        classes = CLASSES.get(config.dataset, IMAGENET_CLASSES) if config.conditional else None
        key = (classes, *(getattr(config, name) for name in FIELDS))
        if key not in known:
            known[key] = estimate(recipe, classes)
        state, image = known[key]
        print(
            f'    "{preset.name}": Need({state:.0f}, {image:.1f}, {config.batch_size}),', flush=True
        )


def estimate(recipe: Recipe, classes: int | None) -> tuple[float, float]:
    """MiB of variables and gradients, and MiB for each image of a D step."""
    config = recipe.config
    counts = [1000] * classes if classes else None
    gan = make_gan(recipe, make_strategy("one_device"), {"channels": 3, "label_counts": counts})
    rows = config.batch_size * config.d_steps
    images = tf.TensorSpec([rows, config.resolution, config.resolution, 3], tf.uint8)
    data = (images, tf.TensorSpec([rows], tf.int32)) if classes else images
    step = tf.function(lambda data: gan.train_step(data), autograph=False)
    live = live_bytes(step.get_concrete_function(data).graph)
    gradients = max(
        state_bytes(network.trainable_variables) for network in (gan.generator, gan.discriminator)
    )
    state = sum(map(state_bytes, gan.state().values())) + gradients
    image = max(live - gradients, 0) / config.batch_size
    return state / 2**20, image / 2**20


if __name__ == "__main__":
    main()
