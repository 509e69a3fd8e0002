"""The sample grids of a study's arms, side by side."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.study_lines import make_line, make_study
from tf_diffaug.images import encode_png
from tf_diffaug.studies.results import Place, Results
from tf_diffaug.studies.samples import draw_samples

GREYS = {"none": 40, "bcr 0.1": 90, "bcr 0.3": 140}


@pytest.fixture
def place(tmp_path):
    """Lines of two seeds, the sheets of the second one's runs in other greys; one run is gone."""
    place = Place(tmp_path, "cpu")
    for cell in make_study().cells("cpu", [0, 1]):
        place.add(make_line(cell))
        if cell.arm.name != "bcr 0.3":
            sheets = place.run_dir(cell) / "samples"
            sheets.mkdir(parents=True)
            for step, extra in ((20, 100), (120, 0)):
                sheet = np.full((40, 60, 3), GREYS[cell.arm.name] + extra + cell.seed, np.uint8)
                (sheets / f"{step:07d}.png").write_bytes(encode_png(sheet))
    return place


def results(place):
    return Results(make_study(), place.lines(), "cpu")


def shades(content):
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).reshape(-1, 3)
    found, counts = np.unique(picture, axis=0, return_counts=True)
    return {int(shade[0]) for shade, count in zip(found, counts, strict=True) if count > 5000}


def test_the_last_sheets_of_one_seed_are_drawn(place):
    assert shades(draw_samples(results(place), place)) == {GREYS["none"], GREYS["bcr 0.1"], 255}


def test_the_seed_is_the_one_that_most_arms_have(place):
    cells = [cell for cell in make_study().cells("cpu", [0, 1]) if cell.seed or cell.arm.x]
    some = {cell.key: place.lines()[cell.key] for cell in cells}
    found = Results(make_study(), some, "cpu")
    assert shades(draw_samples(found, place)) == {GREYS["none"] + 1, GREYS["bcr 0.1"] + 1, 255}


def test_without_runs_or_lines_there_is_no_picture(tmp_path):
    place = Place(tmp_path, "cpu")
    assert draw_samples(results(place), place) is None
    for cell in make_study().cells("cpu", [0]):
        place.add(make_line(cell))
    assert draw_samples(results(place), place) is None
