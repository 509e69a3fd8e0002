"""Plain data and PyTorch's weights are read, and nothing else that their files could hold."""

import collections
import io
import pickle

import numpy as np
import pytest

from tf_diffaug import unpickle
from tf_diffaug.unpickle import load_torch_state

MAGIC = 0x1950A86A20F9469CFC6C


class Named:
    """Pickled as a global of that name, which need not exist here."""

    def __init__(self, module, name, *arguments):
        self.names = (module, name)
        self.arguments = arguments


class Pickler(pickle._Pickler):
    """Python's own, whose globals can be told what to be."""

    def __init__(self, file):
        super().__init__(file, 2)
        self.dispatch = {**pickle._Pickler.dispatch, Named: Pickler._save_named}

    def persistent_id(self, value):
        return value.pid if isinstance(value, Storage) else None

    def _save_named(self, value):
        self.write(pickle.GLOBAL + "\n".join((*value.names, "")).encode())
        if value.arguments:
            self.save(value.arguments)
            self.write(pickle.REDUCE)


class Storage:
    def __init__(self, key, kind="FloatStorage"):
        self.pid = ("storage", Named("torch", kind), key, "cpu", 6, None)


def tensor(storage, offset, shape, strides):
    empty = collections.OrderedDict()
    return Named(
        "torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, empty
    )


def state_file(tensors, storages, magic=MAGIC):
    stream = io.BytesIO()
    machine = {"protocol_version": 1001, "little_endian": True}
    for value in (magic, 1001, machine, tensors, list(storages)):
        Pickler(stream).dump(value)
    for numbers in storages.values():
        stream.write(len(numbers).to_bytes(8, "little") + numbers.tobytes())
    return stream.getvalue()


NUMBERS = {"7": np.arange(6, dtype="<f4")}


def test_tensors_are_views_of_their_storages():
    tensors = {
        "whole": tensor(Storage("7"), 0, (2, 3), (3, 1)),
        "turned": tensor(Storage("7"), 0, (3, 2), (1, 3)),
        "part": tensor(Storage("7"), 4, (2,), (1,)),
        "count": tensor(Storage("8", "LongStorage"), 0, (), ()),
    }
    content = state_file(tensors, {**NUMBERS, "8": np.array([1 << 40], "<i8")})
    found = load_torch_state(content)
    whole = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(found["whole"], whole)
    np.testing.assert_array_equal(found["turned"], whole.T)
    np.testing.assert_array_equal(found["part"], [4, 5])
    assert found["count"] == 1 << 40
    for end in (1, 9, 40, len(content) - 60):
        with pytest.raises(pickle.UnpicklingError):
            load_torch_state(content[:-end])


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (2, 3), (3, 1)),
        (0, (2, 3), (4, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (1 << 20,), (0,)),
    ],
)
def test_a_view_beyond_its_storage_is_refused(offset, shape, strides):
    with pytest.raises(pickle.UnpicklingError):
        load_torch_state(state_file({"a": tensor(Storage("7"), offset, shape, strides)}, NUMBERS))


@pytest.mark.parametrize(
    "held",
    [
        Named("os", "system", "true"),
        Named("torch", "load", "x"),
        Named("torch._utils", "_rebuild_parameter", Storage("7"), True, None),
        Storage("7", "DoubleStorage"),
        3,
    ],
)
def test_anything_else_is_refused(held):
    with pytest.raises(pickle.UnpicklingError):
        load_torch_state(state_file({"a": held}, NUMBERS))


def test_another_file_is_refused():
    with pytest.raises(pickle.UnpicklingError, match="no state dict of PyTorch"):
        load_torch_state(state_file({}, {}, magic=7))


def test_a_file_cannot_change_how_the_next_is_read(monkeypatch):
    # BUILD on a function sets its attributes: it must be one that no other file gets.
    given = []
    parts = unpickle._tensor_parts
    monkeypatch.setattr(unpickle, "_tensor_parts", lambda: given.append(parts()) or given[-1])
    stream = io.BytesIO(state_file({}, {}))
    for _ in range(3):
        pickle.load(stream)
    head = stream.getvalue()[: stream.tell()]
    with pytest.raises(pickle.UnpicklingError):
        load_torch_state(
            head + b"ctorch._utils\n_rebuild_tensor_v2\n(N}S'__defaults__'\n(I1\ntstb."
        )
    load_torch_state(state_file({"a": tensor(Storage("7"), 0, (6,), (1,))}, NUMBERS))
    name = ("torch._utils", "_rebuild_tensor_v2")
    assert [made[name].__defaults__ for made in given] == [(1,), None]


ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\nt%sI00\n%stb."
)
DTYPE = b"cnumpy\ndtype\n(S'%s'\nI0\nI1\ntR(I3\nS'<'\n%stb"
CONTENT = b"C\x10" + bytes(range(16))


def test_an_array_cannot_have_a_type_with_flags_of_its_own():
    # NumPy believes a pickle that these numbers are addresses of objects.
    found = unpickle.load_plain(ARRAY % (DTYPE % (b"f8", b"NNNI-1\nI-1\nI63\n"), CONTENT))
    assert found.dtype == np.dtype("<f8")
    assert not found.dtype.hasobject
    np.testing.assert_array_equal(found, np.frombuffer(bytes(range(16)), "<f8"))


@pytest.mark.parametrize(
    "array",
    [
        ARRAY % (DTYPE % (b"f8", b"(cnumpy\ndtype\n(S'f8'\ntR(I2\nttNNI-1\nI-1\nI0\n"), CONTENT),
        ARRAY % (DTYPE % (b"f8", b"N(S'a'\nt(dI-1\nI-1\nI0\n"), CONTENT),
        ARRAY % (DTYPE % (b"O", b"NNNI-1\nI-1\nI63\n"), CONTENT),
        ARRAY % (DTYPE % (b"f8", b"NNNI-1\nI-1\nI0\n"), b"(lI1\naI2\na"),
        ARRAY % (b"S'f8'\n", CONTENT),
        b"cnumpy\nndarray\n((I3\ntS'O'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(S'O'\nC\x08" + bytes(8) + b"tR.",
    ],
)
def test_arrays_of_other_types_are_refused(array):
    with pytest.raises(pickle.UnpicklingError):
        unpickle.load_plain(array)


@pytest.mark.parametrize("remember", [b"r\xff\xff\xff\x7f", b"p99999999999\n"])
def test_what_is_remembered_does_not_take_more_room_than_the_file(remember):
    for load in (unpickle.load_plain, load_torch_state):
        with pytest.raises(pickle.UnpicklingError, match="numbers what it remembers"):
            load(b"N" + remember + b".")


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nfromfile\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0fctypeslib.ctypes\x93.",  # dotted names reach into modules
        b"ccollections\nOrderedDict\n)R.",
        b"(S'x'\nios\nsystem\n.",  # INST
        b"\x82\x01.",  # EXT1
        b"c_codecs\nencode\n(VX\nVzlib\ntR.",
        b"c_codecs\ndecode\n(VX\nVzlib\ntR.",
    ],
)
def test_refused(content):
    with pytest.raises(pickle.UnpicklingError):
        unpickle.load_plain(content)


@pytest.mark.parametrize("made", ["O", "V8", "U3", "S3", "M8[s]", [("a", "u1")]])
def test_arrays_hold_numbers_alone(made):
    for number in (2, 5):
        with pytest.raises(pickle.UnpicklingError):
            unpickle.load_plain(pickle.dumps(np.zeros(2, made), protocol=number))


def test_a_pickle_cannot_change_the_next_one():
    # BUILD on a function would set its attributes.
    unpickle.load_plain(b"cnumpy\ndtype\n(N(V__defaults__\n(I1\nI1\ntdtb.")
    assert unpickle._reconstructors()["numpy", "dtype"].__defaults__ == (False, False)


@pytest.mark.parametrize("number", range(6))
def test_plain_data_comes_through(number):
    value = {"a": [1, -(1 << 70), 2.5, None, True], b"\xff": ("x", b"\x00\xe9"), 3: {}}
    arrays = [
        np.arange(6).reshape(2, 3),
        np.zeros((0, 2), np.uint8),
        np.ones((2, 2), "F")[:, ::-1].real,
    ]
    loaded = unpickle.load_plain(pickle.dumps([value, arrays, np.uint8(7)], protocol=number))
    # Python 2's str is read as bytes; protocol 0 keeps the two apart as later ones do.
    assert loaded[0] == value
    for got, array in zip(loaded[1], arrays, strict=True):
        np.testing.assert_array_equal(got, array)
    assert loaded[2] == 7
