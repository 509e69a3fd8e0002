"""Reads pickles of plain data, and refuses what could run code."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np


def load_plain(content: bytes) -> Any:
    """Unpickles dicts, lists, tuples, numbers, strings, bytes and NumPy arrays of numbers.

    Strings that Python 2 wrote are read as bytes. Arrays may come from NumPy 1 or 2.

    Raises:
        pickle.UnpicklingError: if there is anything else, or the pickle is damaged.
    """
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to spell
        raise pickle.UnpicklingError(f"it is damaged or cut short ({error})") from error


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._known = _reconstructors()

    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 renamed `core` to `_core`.
        key = (module.replace("numpy._core", "numpy.core", 1), name)
        if key not in self._known:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no plain data")
        return self._known[key]


def _reconstructors() -> dict[tuple[str, str], Any]:
    """What rebuilds arrays, scalars and bytes, by the names that pickles have for it.

    Made anew for each pickle, so that none can alter a function for the next. NumPy's own are
    private; an array says which they are when it is asked how to pickle it.
    """
    array = np.zeros(1)

    def dtype(code: str | bytes, align: Any = False, copy: Any = False) -> np.dtype:
        code = code.decode("ascii") if isinstance(code, bytes) else code
        # Python 2 wrote the two flags as 0 and 1.
        made = np.dtype(code, bool(align), bool(copy))
        if made.kind not in "biuf":  # an array of objects could hold anything
            raise pickle.UnpicklingError(f"it holds an array of type {made}")
        return made

    def encode(text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it holds text in {encoding!r}")
        return text.encode("latin1")

    def from_buffer(*args: Any) -> np.ndarray:
        return array.__reduce_ex__(5)[0](*args)

    def empty() -> bytes:
        return b""

    return {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): dtype,
        ("numpy.core.multiarray", "_reconstruct"): array.__reduce__()[0],
        ("numpy.core.multiarray", "scalar"): array[0].__reduce__()[0],
        ("numpy.core.numeric", "_frombuffer"): from_buffer,
        # How Python 3 writes bytes at protocol 2 and below.
        ("_codecs", "encode"): encode,
        ("__builtin__", "bytes"): empty,
    }
