"""What the machine is: software, processors, devices, and what TensorFlow sees of them."""

from __future__ import annotations

import glob
import importlib.metadata
import os
import pathlib
import platform
import shutil
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import keras
import tensorflow as tf

import tf_diffaug
from tf_diffaug.runs.doctor.findings import Finding, gib
from tf_diffaug.runs.doctor.memory import machine_memory

# Those that decide what a step computes, and those that are in each other's way.
_PACKAGES = (
    *("numpy", "ml_dtypes", "protobuf", "tensorflow-gan", "tensorflow-addons"),
    *("tensorflow-tpu", "libtpu", "tf_keras", "jax"),
)
# What changes how TensorFlow finds devices, and how it computes.
_VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "TPU_NAME", "TF_CONFIG", "XLA_FLAGS", "TF_XLA_FLAGS"),
    *("TF_FORCE_GPU_ALLOW_GROWTH", "TF_DETERMINISTIC_OPS", "NVIDIA_TF32_OVERRIDE"),
    *("TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS"),
)
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


class Card(NamedTuple):
    """A GPU as its driver knows it; `memory` in bytes."""

    name: str
    memory: int
    driver: str


def software() -> Iterator[Finding]:
    """The platform and the versions of everything that computes."""
    yield Finding("platform", f"{platform.platform()}, {processor()}")
    build = tf.sysconfig.get_build_info()
    cuda = f" for CUDA {build['cuda_version']}" if build.get("cuda_version") else ""
    cudnn = f", cuDNN {build['cudnn_version']}" if build.get("cudnn_version") else ""
    yield Finding(
        "versions",
        f"tf_diffaug {tf_diffaug.__version__}, Python {platform.python_version()}, TensorFlow "
        f"{tf.__version__} (built{cuda}{cudnn or ' without CUDA' * (not cuda)}), "
        f"Keras {keras.__version__}",
    )
    yield Finding("packages", ", ".join(_packages()) or "none")
    if found := [f"{name}={_shown(name)}" for name in _VARIABLES if name in os.environ]:
        yield Finding("environment", ", ".join(found))


def devices() -> Iterator[Finding]:
    """CPU, GPUs and TPUs, and those that are there but TensorFlow does not see."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    logical = len(tf.config.list_logical_devices("CPU"))
    split = f", {logical} logical devices" if logical > 1 else ""
    memory = machine_memory()
    free = f", {gib(memory.free)} of {gib(memory.total)} memory free" if memory else ""
    yield Finding("CPU", f"{cores} cores{split}{free}")
    seen = tf.config.list_physical_devices("GPU")
    found = cards()
    for index, gpu in enumerate(seen):
        yield Finding(f"GPU {index}", _gpu(tf.config.experimental.get_device_details(gpu), found))
    if not seen:
        yield _no_gpu(found)
    if tpus := tf.config.list_logical_devices("TPU"):
        yield Finding("TPU", f"{len(tpus)} cores")
    elif glob.glob("/dev/accel*") and "TPU_NAME" not in os.environ:
        yield Finding(
            "TPU",
            "chips are there that are not asked for",
            "TPU chips are there (/dev/accel*) and no TPU_NAME: set TPU_NAME=local.",
        )
    else:
        yield Finding("TPU", "none")


def cards() -> list[Card]:
    """The GPUs of NVIDIA's driver, those that TensorFlow is not to see included."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            [command, *query], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []  # a driver that does not answer has no cards to tell of
    return parse_cards(done.stdout)


def parse_cards(text: str) -> list[Card]:
    """What `nvidia-smi` says, a line a card: name, MiB, version of the driver."""
    rows = [[part.strip() for part in line.split(",")] for line in text.splitlines() if line]
    return [
        Card(name, int(memory) << 20, driver)
        for name, memory, driver in (row for row in rows if len(row) == 3)
        if memory.isdecimal()
    ]


def gpu_memory() -> int | None:
    """Bytes of the smallest GPU that TensorFlow sees; None if that cannot be told."""
    names = {
        tf.config.experimental.get_device_details(gpu).get("device_name")
        for gpu in tf.config.list_physical_devices("GPU")
    }
    sizes = [card.memory for card in cards() if card.name in names]
    return min(sizes, default=None)


def _gpu(details: dict, found: list[Card]) -> str:
    name = details.get("device_name", "of no name")
    parts = [name]
    if card := next((card for card in found if card.name == name), None):
        parts += [gib(card.memory), f"driver {card.driver}"]
    if capability := details.get("compute_capability"):
        parts.append(f"compute capability {'.'.join(map(str, capability))}")
    if capability and capability[0] >= 8:
        on = tf.config.experimental.tensor_float_32_execution_enabled()
        parts.append(f"TensorFloat-32 {'on' if on else 'off'}")
    return ", ".join(parts)


def _no_gpu(found: list[Card]) -> Finding:
    if not found:
        return Finding("GPU", "none")
    text = f"none that TensorFlow sees, of {len(found)}: {found[0].name}"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return Finding("GPU", f"{text} (CUDA_VISIBLE_DEVICES={hidden})")
    wheel = f"tensorflow[and-cuda]=={tf.__version__}"
    return Finding(
        "GPU", text, f"TensorFlow does not see the {found[0].name}: pip install '{wheel}'."
    )


def _packages() -> Iterator[str]:
    for name in _PACKAGES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def _shown(name: str) -> str:
    # A cluster's addresses are nobody else's business.
    return "..." if name == "TF_CONFIG" else os.environ[name]


def processor() -> str:
    """The model of the processor, with what it has of instructions that matter."""
    path = pathlib.Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    pairs = [line.partition(":") for line in path.read_text().splitlines()]
    facts = {key.strip(): value.strip() for key, _, value in reversed(pairs)}
    name = facts.get("model name", platform.machine())
    flags = [flag for flag in _CPU_FLAGS if flag in facts.get("flags", "").split()]
    return f"{name} ({', '.join(flags)})" if flags else name
