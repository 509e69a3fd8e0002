"""A training step of a small GAN of each family, where and how it is to run."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug.runs import networks
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.doctor.findings import Finding, gib, reason
from tf_diffaug.runs.doctor.memory import process_peak
from tf_diffaug.runs.parts import make_gan
from tf_diffaug.runs.recipe import Recipe, images_per_step, settle

CLASSES = 10
# Losses are near 1. Ampere's TensorFloat-32 keeps 10 bits of a factor.
TOLERANCE = {"CPU": 1e-3, "GPU": 1e-2}
# An update of the weights is between the losses of one step and of the next.
COMPARED_STEPS = 2
TIMED_SECONDS = 1.0
# Of losses in half precision, against float32's.
HALF_TOLERANCE = {"bfloat16": 0.2, "float16": 0.05}
_REPLICA_BATCH = 8
_XLA = " with XLA"

Losses = list[dict[str, float]]


def small_recipe(family: str, replicas: int = 1, **settings: Any) -> Recipe:
    """The recipe of a family that a trial takes: DiffAugment, 32 px, slim."""
    settings |= {"model": family, "conditional": networks.take_labels(family)}
    if networks.have_styles(family):  # without R1, which takes XLA minutes
        settings["loss"] = "non_saturating"
    return settle(
        Config(
            policy="color,translation,cutout",
            width=8,
            latent_dim=32,
            batch_size=_REPLICA_BATCH * max(replicas, 2),
            **settings,
        )
    )


class Trial:
    """A GAN and its step under a strategy."""

    def __init__(self, recipe: Recipe, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        config = recipe.config
        counts = [config.batch_size] * CLASSES if config.conditional else None
        self.gan = make_gan(recipe, strategy, {"channels": 3, "label_counts": counts})
        self._batch = _batch(config, strategy)

        @tf.function(autograph=False)
        def step(batch: Any) -> dict[str, tf.Tensor]:
            logs = strategy.run(self.gan.train_step, args=(batch,))
            # A step's losses are those of the global batch, the same on every replica.
            return {k: strategy.experimental_local_results(v)[0] for k, v in logs.items()}

        self._step = step

    def step(self) -> dict[str, float]:
        """Takes a step on the one batch there is."""
        return {name: float(value) for name, value in self._step(self._batch).items()}

    def images_a_second(self) -> float:
        """How many reals of D's a second, in steps of a second or so; once the step is traced."""
        steps, start = 0, time.perf_counter()
        while (seconds := time.perf_counter() - start) < TIMED_SECONDS or steps < 2:
            self.step()
            steps += 1
        return steps * self.gan.networks.d_steps * self._rows / seconds

    @property
    def _rows(self) -> int:
        parts = self._strategy.experimental_local_results(tf.nest.flatten(self._batch)[0])
        return sum(part.shape[0] for part in parts)


def try_family(
    family: str, strategy: tf.distribute.Strategy, *, kind: str, xla: bool
) -> Iterator[Finding]:
    """Takes steps of a family's small GAN in each precision, without XLA and with it.

    Args:
        family: the name of the model.
        strategy: where it computes.
        kind: of its devices: CPU, GPU or TPU.
        xla: whether to compile it too.
    """
    replicas = strategy.num_replicas_in_sync
    expected = None
    if kind == "GPU" or (kind == "CPU" and replicas > 1):
        with _caught(f"{family} on one CPU") as found, tf.device("CPU:0"):
            reference = Trial(small_recipe(family, replicas), tf.distribute.get_strategy())
            expected = [reference.step() for _ in range(COMPARED_STEPS)]
        yield from found
    for label, settings in _ways(family, kind, replicas, xla=xla):
        with _caught(label) as found:
            recipe = small_recipe(family, replicas, **settings)
            finding, losses = _take_steps(label, recipe, strategy, expected, kind)
            expected = losses if expected is None else expected
            found.append(finding)
        yield from found


def _ways(
    family: str, kind: str, replicas: int, *, xla: bool
) -> Iterator[tuple[str, dict[str, str]]]:
    """What a family's step is tried with, and how that is called."""
    yield family, {}
    if kind == "TPU":  # which has no float16, and of which XLA compiles all there is
        yield f"{family} in bfloat16", {"precision": "bfloat16"}
    elif replicas == 1:  # as good as several; and XLA compiles none that TensorFlow runs in threads
        for precision in HALF_TOLERANCE:
            yield f"{family} in {precision}", {"precision": precision}
        if xla:
            yield f"{family}{_XLA}", {"jit": "both"}


def _take_steps(
    label: str,
    recipe: Recipe,
    strategy: tf.distribute.Strategy,
    expected: Losses | None,
    kind: str,
) -> tuple[Finding, Losses]:
    config = recipe.config
    reset_peak(kind)
    trial = Trial(recipe, strategy)
    start = time.perf_counter()
    losses = [trial.step()]
    first = time.perf_counter() - start
    losses += [trial.step() for _ in range(COMPARED_STEPS - 1)]
    parts = [
        f"{trial.images_a_second():,.0f} images a second (batch {config.batch_size})",
        f"first step {first:.1f} s",
        f"{gib(peak_bytes(kind))} {'of the process' if kind == 'CPU' else 'on a device'} at most",
    ]
    # XLA's draws are other numbers: its losses have nothing to be held against.
    own_draws = config.jit != "none" or kind == "TPU"
    allowed = TOLERANCE.get(kind, 0)
    if config.precision in HALF_TOLERANCE:  # float16 may leave its first updates out
        allowed, losses = HALF_TOLERANCE[config.precision], losses[:1]
        expected = expected and [{"d_loss": expected[0]["d_loss"]}]
    said, problem = compare(label, losses, None if own_draws else expected, allowed)
    said += ", losses finite" if own_draws and problem is None else ""
    return Finding(label, "; ".join([said, *parts]), problem), losses


def compare(
    label: str, losses: Losses, expected: Losses | None, tolerance: float
) -> tuple[str, str | None]:
    """What is said of the losses of some steps, and what is wrong with them.

    Args:
        label: whose they are.
        losses: of each step.
        expected: those of the CPU without XLA; None if these are they.
        tolerance: the largest difference allowed, of losses above 1 relative to them.
    """
    bad = [name for step in losses for name, loss in step.items() if not math.isfinite(loss)]
    if bad:
        way_out = "update TensorFlow and the driver, or train elsewhere"
        return "losses not finite", f"{label}: the loss {bad[0]} is not finite: {way_out}."
    if expected is None:
        return "runs", None
    # Half precision has scales of the losses beside them.
    apart = max(
        abs(step[name] - loss) / max(1.0, abs(loss))
        for step, wanted in zip(losses, expected, strict=True)
        for name, loss in wanted.items()
    )
    said = f"runs; losses within {apart:.0e} of the CPU's ({tolerance:g} allowed)"
    if apart <= tolerance:
        return said, None
    return said, (
        f"{label}: losses are {apart:.2g} away from the CPU's, more than {tolerance:g}: do not "
        "trust what it trains. On a GPU NVIDIA_TF32_OVERRIDE=0 tells whether it is TensorFloat-32."
    )


def device_kind(strategy: tf.distribute.Strategy) -> str:
    """CPU, GPU or TPU: where a strategy computes."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return "TPU"
    if strategy.num_replicas_in_sync == 1:
        return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return tf.DeviceSpec.from_string(strategy.extended.worker_devices[0]).device_type


def reset_peak(kind: str) -> None:
    """Begins to measure anew, where that can be."""
    if kind != "CPU":
        for device in tf.config.list_logical_devices(kind):
            tf.config.experimental.reset_memory_stats(device.name)


def peak_bytes(kind: str) -> int:
    """The most that was held since: on a CPU by the process, of its whole life."""
    if kind == "CPU":
        return process_peak()
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    return max(tf.config.experimental.get_memory_info(name)["peak"] for name in names)


@contextlib.contextmanager
def _caught(label: str) -> Iterator[list[Finding]]:
    """Makes a line of whatever goes wrong inside: that is what is to be found out here."""
    found: list[Finding] = []
    try:
        yield found
    except Exception as error:
        problem = f"{label}: {_way_out(error, label)}"
        found.append(Finding(label, f"fails: {reason(error)}", problem))


def _way_out(error: Exception, label: str) -> str:
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return "no memory is left: end what else is on the device (nvidia-smi lists it)."
    if label.endswith(_XLA):
        return "XLA does not compile it here: train without, which is the default."
    return f"a step fails ({reason(error)}): train elsewhere, and report this page as a bug."


def _batch(config: Config, strategy: tf.distribute.Strategy) -> Any:
    """A global batch of noise, each replica's rows on it."""
    rows = images_per_step(config)
    rng = np.random.default_rng(0)
    shape = (rows, config.resolution, config.resolution, 3)
    images = rng.integers(0, 256, shape, np.uint8)
    labels = rng.integers(0, CLASSES, rows, np.int32)

    def distributed(values: np.ndarray) -> Any:
        shares = np.split(values, strategy.num_replicas_in_sync)
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares[context.replica_id_in_sync_group])
        )

    parts: list[Callable] = [distributed(images)]
    return (parts[0], distributed(labels)) if config.conditional else parts[0]
