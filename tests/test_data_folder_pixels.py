"""The pixels that a folder's images become: cut, reduced, turned, in the channels asked for."""

import numpy as np
import pytest
from PIL import Image

from tests.pictures import noise, open_folder, plain, save


def test_the_centre_is_cut_out(tmp_path):
    pixels = np.zeros((8, 20, 3), np.uint8)
    pixels[:, 6:14] = 100
    save(Image.fromarray(pixels), tmp_path / "wide.png")
    save(Image.fromarray(pixels.transpose(1, 0, 2)), tmp_path / "high.png")
    assert (open_folder(tmp_path).images == 100).all()


def test_reduction_is_antialiased(tmp_path):
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    save(Image.fromarray(board.astype(np.uint8)), tmp_path / "board.png")
    np.testing.assert_allclose(open_folder(tmp_path).images, 127.5, atol=3)


def test_native_size_is_kept(tmp_path):
    image = noise(5, 7)
    save(image, tmp_path / "a.png")
    data = open_folder(tmp_path, resolution=None)
    np.testing.assert_array_equal(data.images[0], np.asarray(image))
    save(noise(5, 8), tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"a.png is 7x5, b.png is 8x5; give a resolution"):
        open_folder(tmp_path, resolution=None)


def test_same_resolution_changes_no_pixel(tmp_path):
    image = noise(8, 8)
    save(image, tmp_path / "a.png")
    np.testing.assert_array_equal(open_folder(tmp_path).images[0], np.asarray(image))


def test_alpha_is_composited_on_white(tmp_path):
    save(plain((0, 0, 0, 0), mode="RGBA"), tmp_path / "clear.png")
    save(plain((0, 0, 0, 128), mode="RGBA"), tmp_path / "half.png")
    save(plain((0, 128), mode="LA"), tmp_path / "half_grey.png")
    palette = plain(0, mode="P")
    palette.putpalette([10, 20, 30])
    save(palette, tmp_path / "palette.png")
    save(palette, tmp_path / "palette_clear.png", transparency=0)
    save(palette, tmp_path / "palette_half.png", transparency=b"\x80")
    images = open_folder(tmp_path).images[:, 4, 4].tolist()
    assert images[:4] == [[255] * 3, [127] * 3, [127] * 3, [10, 20, 30]]
    assert images[4] == [255] * 3
    np.testing.assert_allclose(images[5], [132, 137, 142], atol=1)


def test_alpha_is_kept_where_asked(tmp_path):
    save(plain((10, 20, 30, 40), mode="RGBA"), tmp_path / "a.png")
    save(plain((10, 20, 30)), tmp_path / "b.png")
    images = open_folder(tmp_path, channels=4).images
    # Resizing premultiplies, so that a clear pixel's colour does not bleed.
    np.testing.assert_allclose(images[0, 4, 4], [10, 20, 30, 40], atol=3)
    assert images[1, 4, 4].tolist() == [10, 20, 30, 255]


def test_grey_16_bit_and_cmyk(tmp_path):
    for k, level in enumerate([0, 128, 257 * 100, 65535]):
        sixteen = Image.fromarray(np.full((12, 12), level, np.uint16))
        save(sixteen, tmp_path / f"a{k}.png")
    save(plain(77, mode="L"), tmp_path / "b.png")
    save(plain(1, mode="1"), tmp_path / "c.png")
    save(plain((0, 0, 0, 255), mode="CMYK"), tmp_path / "d.jpg")
    images = open_folder(tmp_path).images
    assert images[:6, 4, 4, 0].tolist() == [0, 0, 100, 255, 77, 255]
    assert images[6].max() < 10
    assert open_folder(tmp_path, channels=1).images.shape == (7, 8, 8, 1)


@pytest.mark.parametrize(
    ("orientation", "corner"), [(1, (0, 0)), (3, (7, 7)), (6, (0, 7)), (8, (7, 0))]
)
def test_exif_rotation(tmp_path, orientation, corner):
    image = plain((0, 0, 0), (8, 8))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(image, tmp_path / "a.png", exif=exif)
    pixels = open_folder(tmp_path).images[0, :, :, 0]
    assert np.argwhere(pixels == 255).tolist() == [list(corner)]


def test_first_frame_of_an_animation(tmp_path):
    first, second = plain((9, 9, 9)), plain((200, 200, 200))
    save(first, tmp_path / "a.webp", save_all=True, append_images=[second], lossless=True)
    assert (open_folder(tmp_path).images == 9).all()
