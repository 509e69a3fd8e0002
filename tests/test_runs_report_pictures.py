"""A page's pictures: small, and those that were asked for."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.reports import write_run, write_sheet
from tf_diffaug.runs.report import pictures, write_report


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_enlarged_pixels_are_stored_once(tmp_path, scale):
    pixels = write_sheet(tmp_path / "a.png", 0, scale=scale)
    with Image.open(tmp_path / "a.png") as sheet:
        np.testing.assert_array_equal(np.asarray(pictures._smallest(sheet)), pixels)
        assert pictures.encode(sheet)[1:] == (24, 16, True)


def test_sheets_stay_within_their_share_of_the_page(tmp_path):
    sheets = [(step, tmp_path / f"{step}.png") for step in range(1, 31)]
    for step, path in sheets:
        write_sheet(path, step, scale=1, size=(100, 150))
    fine = pictures.sheets_through_time(sheets, 10_000_000)
    coarse = pictures.sheets_through_time(sheets, 300_000)
    assert len(fine) == 24
    assert fine[0][1].uri.startswith("data:image/webp")
    for made in (fine, coarse):
        assert (made[0][0], made[-1][0]) == (1, 30)
    assert sum(len(one.uri) for _, one in coarse) <= 300_000


@pytest.mark.parametrize("quality", [None, 92, 70, 50])
def test_noise_is_a_picture_too(quality):
    pixels = np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8)
    uri = pictures.encode(Image.fromarray(pixels), quality=quality).uri
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as read:
        error = np.abs(np.asarray(read.convert("RGB"), np.float64) - pixels).mean()
    assert error == 0 if quality is None else error < 60


@pytest.mark.parametrize("sheet", ["samples/0000030.png", "generated/x/nearest.png"])
def test_a_sheet_that_is_no_png_is_not_opened(tmp_path, sheet):
    # Pillow would hand it to Ghostscript.
    run = write_run(tmp_path / "run")
    (run / sheet).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(run / sheet, "eps")
    with pytest.raises(ValueError, match=rf"{sheet} is no PNG, or is damaged: remove it"):
        write_report(run)
