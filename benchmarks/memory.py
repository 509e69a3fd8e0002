"""What a process holds in memory, and the most that it has held."""

from __future__ import annotations

import re
from pathlib import Path


def peak_gib() -> float:
    """The most memory that this process has held, in GiB.

    Not `ru_maxrss`, which a process starts with at its parent's size.
    """
    return _status("VmHWM")


def held_gib() -> float:
    """The memory that this process holds now, in GiB."""
    return _status("VmRSS")


def _status(name: str) -> float:
    # One file for both: the kernel's other counts of the same pages lag behind, some by megabytes.
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 2**20
