"""One image file, of whatever kind."""

import io
import os

import numpy as np
import pytest
from PIL import Image, ImageCms

from tf_diffaug.data import image as image_lib
from tf_diffaug.data.image import UnusableError, image_suffixes, large_images, read_image


def encode(image, kind="png", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return io.BytesIO(file.getvalue())


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def read(image, kind="png", save=None, **options):
    return read_image(encode(image, kind, **(save or {})), **options)


@pytest.mark.parametrize(
    "kind", ["bmp", "dib", "gif", "ico", "jpeg2000", "pcx", "png", "ppm", "sgi", "tga", "tiff"]
)
def test_formats(kind):
    pixels = read(Image.new("RGB", (16, 16), (200, 100, 0)), kind)
    assert pixels.shape == (16, 16, 3)
    np.testing.assert_allclose(pixels[8, 8], [200, 100, 0], atol=1)


def test_suffixes_are_those_of_images():
    known = set(image_suffixes())
    assert known >= {".gif", ".bmp", ".tif", ".tiff", ".jfif", ".jpg", ".png", ".webp", ".tga"}
    assert not known & {".pdf", ".ps", ".eps", ".wmf", ".mpg", ".h5"}


def test_first_frames():
    frames = [Image.new("RGB", (8, 8), colour) for colour in [(9, 9, 9), (200, 200, 200)]]
    for kind in ("gif", "tiff"):
        pixels = read(frames[0], kind, {"save_all": True, "append_images": frames[1:]})
        assert (pixels == 9).all()


def test_a_document_named_as_an_image_is_not_run():
    # Pillow would hand it to Ghostscript.
    with pytest.raises(UnusableError, match="no image, or cut short"):
        read(Image.new("RGB", (8, 8)), "eps")


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bit_grey_is_scaled_exactly(kind):
    levels = np.array([[0, 1, 128, 129], [255, 256, 257 * 100 + 128, 257 * 100 + 129]])
    levels = np.vstack([levels, [[32767, 32768, 65407, 65535]]])
    expected = (levels + 128) // 257
    sixteen = Image.fromarray(levels.astype(np.uint16))
    assert read(sixteen, kind, channels=1)[..., 0].tolist() == expected.tolist()
    assert read(sixteen, kind)[..., 2].tolist() == expected.tolist()


def test_16_bit_big_endian_tiff():
    levels = np.array([[0, 256, 257 * 100, 65535]], np.uint16)
    big = Image.frombytes("I;16B", (4, 1), levels.astype(">u2").tobytes())
    assert Image.open(encode(big, "tiff")).mode == "I;16B"
    assert read(big, "tiff", channels=1).ravel().tolist() == [0, 1, 100, 255]


def test_values_without_a_known_range_are_refused():
    for values in (np.full((4, 4), 1 << 20, np.int32), np.ones((4, 4), np.float32)):
        with pytest.raises(UnusableError, match="32 bits"):
            read(Image.fromarray(values), "tiff")


def test_large_images_are_sound(monkeypatch):
    large = encode(Image.new("RGB", (20, 20)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)  # a warning at this, an error at twice it
    with pytest.warns(Image.DecompressionBombWarning):
        read_image(large)
    with large_images():
        assert read_image(encode(Image.new("RGB", (30, 30)))).shape == (30, 30, 3)
    assert Image.MAX_IMAGE_PIXELS == 300


def test_absurd_images_are_refused_truthfully(monkeypatch):
    monkeypatch.setattr(image_lib, "MOST_PIXELS", 300)
    with large_images():
        with pytest.raises(UnusableError, match="20x20 is more than 300 pixels"):
            read(Image.new("L", (20, 20)))
        with pytest.raises(UnusableError, match="more than 300 pixels"):
            read(Image.new("L", (40, 40)))


def wide_gamut():
    """A profile whose primaries are not those of sRGB: green and red change places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = profile.replace(
        "sRGB built-in".encode("utf-16-be"), "sXYZ built-in".encode("utf-16-be")
    )
    tags = int.from_bytes(profile[128:132], "big")
    at = {bytes(profile[p : p + 4]): p for p in range(132, 132 + 12 * tags, 12)}
    red, green = at[b"rXYZ"], at[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def test_colour_profiles_become_srgb():
    red = Image.new("RGB", (8, 8), (250, 0, 0))
    np.testing.assert_allclose(
        read(red, save={"icc_profile": wide_gamut()})[4, 4], [0, 250, 0], atol=3
    )
    clear = Image.new("RGBA", (8, 8), (250, 0, 0, 77))
    pixels = read(clear, save={"icc_profile": wide_gamut()}, channels=4, resolution=8)
    np.testing.assert_allclose(pixels[4, 4], [0, 250, 0, 77], atol=3)


def test_profiles_that_change_nothing():
    pixels = noise(8, 8, 3)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"damaged"):
        for mode in ("RGB", "L"):
            image = Image.fromarray(pixels).convert(mode)
            read_back = read(image, save={"icc_profile": profile})
            np.testing.assert_array_equal(read_back, np.asarray(image.convert("RGB")))


def test_jpeg_is_decoded_reduced_and_antialiased(monkeypatch):
    smooth = Image.fromarray(noise(8, 8, 3)).resize((256, 320), Image.Resampling.BICUBIC)
    drafts = []
    whole = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda s: (drafts.append(s.size), whole(s))[1])
    jpeg = read(smooth, "jpeg", {"quality": 95}, resolution=16).astype(int)
    assert min(min(size) for size in drafts if max(size) < 256) >= 16
    png = read(smooth, resolution=16).astype(int)
    assert np.abs(jpeg - png).mean() < 2
    board = Image.fromarray((np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8))
    np.testing.assert_allclose(read(board, "jpeg", resolution=16), 127.5, atol=6)


def test_a_small_jpeg_is_decoded_whole():
    image = Image.fromarray(noise(24, 24, 3))
    whole = np.asarray(Image.open(encode(image, "jpeg")))
    np.testing.assert_array_equal(read(image, "jpeg", resolution=24), whole)


def test_pad_keeps_a_small_image_as_it_is():
    pixels = noise(28, 28)
    pixels[0] = pixels[-1] = pixels[:, 0] = pixels[:, -1] = 7
    padded = read(Image.fromarray(pixels), resolution=32, channels=1, fit="pad")[..., 0]
    np.testing.assert_array_equal(padded[2:30, 2:30], pixels)
    assert (padded[:2] == 7).all()
    assert (padded[:, 30:] == 7).all()


def test_pad_is_transparent_with_alpha_and_shows_the_whole_image():
    opaque = Image.new("RGB", (64, 16), (200, 0, 0))
    padded = read(opaque, resolution=32, channels=4, fit="pad")
    assert padded[16, :, 3].tolist() == [255] * 32
    assert (padded[:8, :, 3] == 0).all()
    sprite = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    sprite.putpixel((8, 8), (200, 0, 0, 255))
    white = read(sprite, resolution=32, fit="pad")
    assert (white[0, 0] == 255).all()
    assert white[16, 16].tolist() == [200, 0, 0]


def test_enlarge_is_smooth_and_crops():
    ramp = np.arange(40, 240, 20, dtype=np.uint8)
    large = read(Image.fromarray(np.tile(ramp, (6, 1))), resolution=24, fit="enlarge", channels=1)
    assert large.shape == (24, 24, 1)
    # Columns 2 to 8 of the ramp, four pixels for each.
    expected = 80 + 20 * ((np.arange(24) + 0.5) / 4 - 0.5)
    np.testing.assert_allclose(large[12, :, 0], expected, atol=2)


def test_too_small_says_which_side_fits():
    with pytest.raises(UnusableError, match="6x9 is smaller than 7") as error:
        read(Image.new("L", (6, 9)), resolution=7)
    assert error.value.side == 6
    assert read(Image.fromarray(noise(9, 6)), channels=1).shape == (9, 6, 1)


def test_a_file_that_is_none(tmp_path):
    whole = encode(Image.fromarray(noise(64, 64, 3))).getvalue()
    for content in (b"", b"text", whole[: len(whole) // 2], os.urandom(100)):
        with pytest.raises(UnusableError, match="no image, or cut short"):
            read_image(io.BytesIO(content))


@pytest.mark.parametrize("kind", ["blp", "dds"])
def test_whatever_a_decoder_raises_is_an_unusable_file(kind):
    # Pillow has NotImplementedError for what these formats could hold.
    image = Image.new("P" if kind == "blp" else "RGB", (8, 8))
    content = bytearray(encode(image, kind).getvalue())
    content[{"blp": 8, "dds": 80}[kind]] = 0
    with pytest.raises(UnusableError, match="no image, or cut short"):
        read_image(io.BytesIO(content))


def test_a_thin_image_is_not_padded_to_a_huge_square():
    thin = encode(Image.new("1", (1 << 17, 1)))
    with pytest.raises(UnusableError, match="131072x1 padded is more than 536,870,912 pixels"):
        read_image(thin, resolution=8, fit="pad")
