"""The contact sheet: opens, and shows what it says."""

import io

import numpy as np
import pytest
from PIL import Image

from tf_diffaug.augment import parse_policy
from tf_diffaug.errors import UserError
from tf_diffaug.runs.preview import COLUMNS, draw_sheet, rows, whole_policy


def images(count=12, height=16, width=16, channels=3):
    return np.random.RandomState(0).randint(0, 256, (count, height, width, channels), np.uint8)


def labels(found):
    return [row.label.replace("\n", " ") for row in found]


def test_the_rows_are_each_op_at_its_ends_and_drawn_then_all_together():
    found = rows(parse_policy("color,cutout:0.25"), images(), seed=0)
    expected = ["images"]
    for op in ("color", "cutout:0.25"):
        expected += [f"{op} lowest", f"{op} middle", f"{op} highest", f"{op} drawn", f"{op} drawn"]
    assert labels(found) == expected + ["all together drawn"] * 4


def test_ends_are_the_ends_and_draws_differ():
    given = images()
    found = rows(parse_policy("brightness"), given, seed=0)
    by_label = {
        label: row.images.astype(int) for label, row in zip(labels(found), found, strict=True)
    }
    plain = by_label["images"]
    np.testing.assert_array_equal(by_label["brightness middle"], plain)
    inside = (plain > 70) & (plain < 180)
    low = by_label["brightness lowest"] - plain
    high = by_label["brightness highest"] - plain
    assert set(np.unique(low[inside])) <= {-64, -63}
    assert set(np.unique(high[inside])) <= {63, 64}
    assert not np.array_equal(found[-1].images, found[-2].images)


def test_the_same_seed_draws_the_same_sheet():
    policy = parse_policy("color,translation,cutout")
    first, again, other = (draw_sheet(rows(policy, images(), seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("shape", "columns"),
    [({}, COLUMNS), ({"count": 3}, 3), ({"channels": 1}, COLUMNS), ({"height": 100}, COLUMNS)],
)
def test_the_sheet_opens_with_a_cell_for_every_image(shape, columns):
    given = images(**shape)
    found = rows(parse_policy("translation,cutout"), given, seed=0)
    sheet = Image.open(io.BytesIO(draw_sheet(found)))
    assert sheet.format == "PNG"
    height, width = given.shape[1:3]
    scale = max(1, -(-64 // max(height, width)))
    assert sheet.size == (170 + columns * (width * scale + 4) + 4, 15 * (height * scale + 4) + 4)
    cell = np.asarray(sheet.convert("RGB"))[4 : 4 + height * scale, 170 : 170 + width * scale]
    np.testing.assert_array_equal(
        cell[::scale, ::scale], np.broadcast_to(given[0], (height, width, 3))
    )


def test_an_empty_policy_is_a_mistake():
    with pytest.raises(UserError, match="--policy="):
        rows(parse_policy("none"), images(), seed=0)


def test_a_whole_policy_is_drawn_as_on_the_sheet():
    policy, given = parse_policy("color,cutout"), images()
    sheet = rows(policy, given, seed=0)
    whole = whole_policy(policy, given, seed=0)
    assert [row.label for row in whole] == ["images", *["color,cutout\ndrawn"] * 4]
    for row, same in zip(whole, [sheet[0], *sheet[-4:]], strict=True):
        np.testing.assert_array_equal(row.images, same.images)
