"""Image files, zips and CIFAR's and PyTorch's pickles that a stranger made."""

import io
import os
import pickle
import struct
import warnings
import zipfile
import zlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from tests.fuzz.hostile import damaged, examples, watched
from tests.test_unpickle import NUMBERS, Storage, state_file, tensor
from tf_diffaug import data, unpickle
from tf_diffaug.data.image import UnusableError, image_formats, large_images, read_image

_MODES = ("RGB", "L", "P", "RGBA", "CMYK", "1", "I;16", "LA", "F", "I")


def _encoded():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return _in_all_formats()


def _in_all_formats():
    """A small image in each format that Pillow writes, in each mode that the format takes."""
    rng = np.random.default_rng(0)
    pixels = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
    found = {}
    Image.init()
    for kind in sorted(set(Image.SAVE) & set(image_formats())):
        for mode in _MODES:
            file = io.BytesIO()
            try:
                picture = pixels.convert("I").convert(mode) if ";" in mode else pixels.convert(mode)
                exif = picture.getexif()
                exif[0x0112] = 6
                picture.save(file, kind, exif=exif)
            except (OSError, ValueError, KeyError, TypeError):
                continue
            found[f"{kind} {mode}"] = file.getvalue()
    frames = [pixels, pixels.rotate(90, expand=False)]
    for kind in ("gif", "webp", "tiff", "png"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        found[f"{kind} animated"] = file.getvalue()
    return found


ENCODED = _encoded()


def png(width, height, *chunks):
    """A PNG that says it is so large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(bytes(10))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def read(content, **options):
    """Pixels, or the one error."""
    try:
        with large_images():
            found = read_image(io.BytesIO(content), **options)
    except UnusableError:
        return
    assert found.dtype == np.uint8
    assert found.shape[-1] == options.get("channels", 3)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "resolution": st.sampled_from((1, 8, 12, 40)),
        "channels": st.sampled_from((1, 3, 4)),
    },
)


@pytest.mark.filterwarnings("ignore")  # Pillow's, of metadata
@pytest.mark.parametrize("kind", sorted({name.split()[0] for name in ENCODED}))
@examples(12)
@hypothesis.given(draws=st.data(), options=OPTIONS, fit=st.sampled_from(("crop", "pad", "enlarge")))
def test_image_files(tmp_path, kind, draws, options, fit):
    names = [name for name in ENCODED if name.split()[0] == kind]
    content = draws.draw(damaged(ENCODED[draws.draw(st.sampled_from(names))]))
    if "resolution" in options:
        options = {**options, "fit": fit}
    with watched(tmp_path):
        read(content, **options)


@pytest.mark.parametrize("content", ENCODED.values(), ids=ENCODED.keys())
def test_each_mode_of_each_format_is_read_or_refused(content):
    for channels in (1, 3, 4):
        for fit in ("crop", "pad", "enlarge"):
            read(content, channels=channels, resolution=8, fit=fit)


@pytest.mark.parametrize("size", [(1 << 15, 1 << 15), (2**31 - 1, 2**31 - 1), (0, 5), (2**31, 1)])
def test_huge_dimensions(size):
    read(png(*size))
    read(png(*size), resolution=8, fit="pad")


def test_bombs_of_metadata():
    text = b"Comment\0\0" + zlib.compress(bytes(1 << 28))
    read(png(4, 4, (b"zTXt", text)))
    read(png(4, 4, (b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 28)))))


PIXELS = ENCODED["PNG RGB"]
NAMES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        (
            "../../up.png",
            "/etc/up.png",
            "C:\\up.png",
            "a\x00.png",
            "a/../b.png",
            "train/a.png",
            "test/b.png",
            "dataset.json",
            "\udcff.png",
            ".png",
            "a.png/b.png",
            "x" * 300 + ".png",
        )
    ),
    st.text(alphabet="ab/.\\", max_size=6).map("{}.png".format),
)
CONTENT = st.one_of(
    st.just(PIXELS),
    st.sampled_from(sorted(ENCODED.values())),
    st.binary(max_size=20),
    st.sampled_from((b"[" * 9999, b'{"labels": {"a": 1}}', b'{"labels": [["a.png", 1e99]]}')),
)


def loaded(name, **options):
    """A dataset; None if there is the one error instead."""
    try:
        return data.load(name, **options)
    except ValueError as error:
        text = str(error)
    assert text.isprintable()
    return None


def load(path):
    found = loaded(f"folder:{path}", resolution=8, fit="pad", skip_broken=True)
    assert found is None or found.images.shape[1:] == (8, 8, 3)


@pytest.mark.filterwarnings("ignore")  # of names that are there twice
@examples(40)
@hypothesis.given(
    entries=st.lists(st.tuples(NAMES, CONTENT), max_size=5),
    spoil=st.none() | st.data(),
)
def test_zips(tmp_path, entries, spoil):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo("x")
            info.filename = name.encode("utf-8", "replace").decode()
            archive.writestr(info, content)
    content = file.getvalue()
    if spoil is not None:
        content = spoil.draw(damaged(content))
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with watched(tmp_path):
        load(path)
    assert sorted(tmp_path.iterdir()) == [path]


def test_links_and_pipes_in_folders(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(PIXELS)
    (folder / "circle").symlink_to(folder)
    (folder / "endless.png").symlink_to("/dev/zero")
    (folder / "none.png").symlink_to("/nowhere")
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "dataset.json")
    (folder / "dir.png").mkdir()
    with pytest.raises(ValueError, match=r"dataset.json cannot be read.*pipe"):
        data.load(f"folder:{folder}", resolution=8)
    (folder / "dataset.json").unlink()
    found = data.load(f"folder:{folder}", resolution=8, skip_broken=True)
    assert len(found.images) == 1
    assert found.skipped == ("endless.png", "none.png", "pipe.png")


def _pickles():
    arrays = [
        np.zeros((2, 3072), np.uint8),
        np.asfortranarray(np.ones((2, 3), ">f4")),
        np.float32(1),
    ]
    batch = {
        "data": arrays[0],
        b"labels": [0, 1],
        "filenames": ["a", b"b"],
        "more": (None, True, 1.5),
    }
    return [pickle.dumps(one, number) for one in (batch, arrays) for number in range(6)]


PICKLES = _pickles()


def plain(value, depth=0):
    """Whether a value is of numbers, texts and arrays of numbers alone."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf" and not value.dtype.hasobject
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return depth > 50 or all(plain(one, depth + 1) for one in value)
    kinds = (int, float, complex, str, bytes, bytearray, np.generic, type(None), unpickle._DType)
    return isinstance(value, kinds) or callable(value)


@examples(150)
@hypothesis.given(content=st.sampled_from(PICKLES).flatmap(damaged) | st.binary(max_size=40))
def test_pickles(tmp_path, content):
    with watched(tmp_path):
        try:
            found = unpickle.load_plain(content)
        except pickle.UnpicklingError:
            return
    assert plain(found)


TORCH = state_file({"a": tensor(Storage("7"), 0, (2, 3), (3, 1))}, NUMBERS)


@examples(150)
@hypothesis.given(content=damaged(TORCH))
def test_state_dicts(tmp_path, content):
    with watched(tmp_path):
        try:
            found = unpickle.load_torch_state(content)
        except pickle.UnpicklingError:
            return
    assert all(array.size <= 6 for array in found.values())


@examples(25)
@hypothesis.given(content=st.sampled_from(PICKLES[:6]).flatmap(damaged))
def test_cifar(tmp_path, content):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir(exist_ok=True)
    for name in (*(f"data_batch_{index}" for index in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(content)
    found = loaded("cifar10", data_dir=tmp_path)
    assert found is None or found.images.shape[1:] == (32, 32, 3)
