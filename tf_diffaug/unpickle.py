"""Reads pickles of plain data, and weights of PyTorch, and refuses what could run code."""

from __future__ import annotations

import collections
import contextlib
import io
import math
import pickle
import pickletools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np


def load_plain(content: bytes) -> Any:
    """Unpickles dicts, lists, tuples, numbers, strings, bytes and NumPy arrays of numbers.

    Strings that Python 2 wrote are read as bytes. Arrays may come from NumPy 1 or 2.

    Raises:
        pickle.UnpicklingError: if there is anything else, or the pickle is damaged.
    """
    with _damage_is_an_unpickling_error():
        return _PlainUnpickler(io.BytesIO(content), encoding="bytes").load()


def load_torch_state(content: bytes) -> dict[str, np.ndarray]:
    """Reads the arrays of a PyTorch state dict, in the format before its files were zips.

    Such a file is a row of pickles (a magic number, a version, the machine's number format, the
    tensors as views of numbered storages, the order of the storages) with the storages behind.

    Raises:
        pickle.UnpicklingError: if there is anything else, or the file is damaged.
    """
    with _damage_is_an_unpickling_error():
        stream = io.BytesIO(content)
        magic, version, machine = (_PlainUnpickler(stream).load() for _ in range(3))
        if (magic, version) != (_TORCH_MAGIC, 1001) or not machine["little_endian"]:
            raise pickle.UnpicklingError("it is no state dict of PyTorch")
        views = _TorchUnpickler(stream).load()
        order = _PlainUnpickler(stream).load()
        types = {view.key: view.dtype for view in views.values()}
        storages = {key: _storage(stream, types[key]) for key in order}
        return {name: view.of(storages[view.key]) for name, view in views.items()}


_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


@contextlib.contextmanager
def _damage_is_an_unpickling_error() -> Iterator[None]:
    try:
        yield
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to spell
        raise pickle.UnpicklingError(f"it is damaged or cut short ({error})") from error


class _View(NamedTuple):
    """A tensor: which storage, of which type, and where in it."""

    key: str
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, storage: np.ndarray) -> np.ndarray:
        steps = [(n - 1) * step for n, step in zip(self.shape, self.strides, strict=True)]
        size = math.prod(self.shape)
        # A stride of 0 would make much of little.
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or (
            size and (self.offset + sum(steps) >= len(storage) or size > len(storage))
        ):
            raise pickle.UnpicklingError(f"a tensor of shape {self.shape} is larger than its data")
        strides = [step * self.dtype.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, strides)
        return np.ascontiguousarray(view).reshape(self.shape)


def _storage(stream: io.BytesIO, dtype: np.dtype) -> np.ndarray:
    """The next storage: how many numbers, then the numbers."""
    size = int.from_bytes(_exactly(stream, 8), "little") * dtype.itemsize
    return np.frombuffer(_exactly(stream, size), dtype)


def _exactly(stream: io.BytesIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise pickle.UnpicklingError("it is cut short")
    return content


class _TorchUnpickler(pickle.Unpickler):
    """Reads a dict of tensors as a dict of `_View`s."""

    def __init__(self, stream: io.BytesIO):
        _refuse_wide_memo(stream)
        super().__init__(stream)
        self._known = _tensor_parts()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no tensor")
        return self._known[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype]:
        kind, dtype, key, *_ = pid
        if kind != "storage" or dtype not in _TORCH_TYPES.values():
            raise pickle.UnpicklingError(f"it holds a {kind}, which is no tensor")
        return key, np.dtype(dtype)


def _tensor_parts() -> dict[tuple[str, str], Any]:
    """What a state dict is made of, made anew for each as in `_reconstructors`."""

    def view(storage: tuple[str, np.dtype], offset: int, shape: Any, stride: Any, *_: Any) -> _View:
        return _View(*storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))

    return {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): view,
        # Names of types: a pickle cannot change those, as it could a type.
        **{("torch", name): dtype for name, dtype in _TORCH_TYPES.items()},
    }


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, **kwargs: Any):
        _refuse_wide_memo(stream)
        super().__init__(stream, **kwargs)
        self._known = _reconstructors()

    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 renamed `core` to `_core`.
        key = (module.replace("numpy._core", "numpy.core", 1), name)
        if key not in self._known:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no plain data")
        return self._known[key]


def _refuse_wide_memo(stream: io.BytesIO) -> None:
    """Looks through a pickle, without running it, for numbers that Python would make room for.

    What is remembered is numbered, and Python's table is as long as the largest number: ten bytes
    could ask for 64 GB.
    """
    start = stream.tell()
    most = len(stream.getbuffer())
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in _REMEMBERS and argument > most:
            raise pickle.UnpicklingError(f"it numbers what it remembers up to {argument}")
    stream.seek(start)


_REMEMBERS = ("PUT", "BINPUT", "LONG_BINPUT")


class _DType:
    """A type of numbers while it is read. NumPy's own takes any flags from a pickle, unchecked."""

    def __init__(self, made: np.dtype):
        self.made = made

    def __setstate__(self, state: tuple) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if state[2:5] != (None, None, None) or order not in tuple("<>=|"):
            raise pickle.UnpicklingError("it holds an array of a type of its own")
        if order in "<>":
            self.made = self.made.newbyteorder(order)


class _Array(np.ndarray):
    """An array while it is read."""

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, is_fortran, content = state
        if not isinstance(dtype, _DType) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("it holds an array of no numbers")
        super().__setstate__((version, shape, dtype.made, is_fortran, content))


def _reconstructors() -> dict[tuple[str, str], Any]:
    """What rebuilds arrays, scalars and bytes, by the names that pickles have for it.

    Made anew for each pickle, so that none can alter a function for the next. One of NumPy's own
    is private; an array says which it is when it is asked how to pickle it.
    """

    def dtype(code: str | bytes, align: Any = False, copy: Any = False) -> _DType:
        made = np.dtype(code.decode("ascii") if isinstance(code, bytes) else code)
        if made.kind not in "biuf":  # an array of objects could hold anything
            raise pickle.UnpicklingError(f"it holds an array of type {made}")
        return _DType(made)

    def encode(text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it holds text in {encoding!r}")
        return text.encode("latin1")

    def reconstruct(*_: Any) -> np.ndarray:
        return np.zeros(0).view(_Array)

    def scalar(dtype: _DType, content: bytes) -> np.generic:
        (value,) = np.frombuffer(content, dtype.made)
        return value

    def from_buffer(content: bytes, dtype: _DType, *layout: Any) -> np.ndarray:
        return np.zeros(1).__reduce_ex__(5)[0](content, dtype.made, *layout)

    def empty() -> bytes:
        return b""

    return {
        # Names of types: a pickle cannot change or call those.
        ("numpy", "ndarray"): "ndarray",
        ("numpy", "dtype"): dtype,
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy.core.multiarray", "scalar"): scalar,
        ("numpy.core.numeric", "_frombuffer"): from_buffer,
        # How Python 3 writes bytes at protocol 2 and below.
        ("_codecs", "encode"): encode,
        ("__builtin__", "bytes"): empty,
    }
