"""The language of schedules, which needs no TensorFlow."""

import subprocess
import sys

import pytest

from tf_diffaug.schedules import Schedule, as_schedule, ends, in_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cosine(2e-4, 5e-5, images=20e6)", Schedule("cosine", 2e-4, 5e-5, 20e6)),
        ("linear(end=0.6, start=0, images=1_000)", Schedule("linear", 0, 0.6, 1000)),
        (" linear( 1,-1,images=8 ) ", Schedule("linear", 1, -1, 8)),
        ("5e-5", 5e-5),
        (0.5, 0.5),
        (Schedule("linear", 0, 1, 2), Schedule("linear", 0, 1, 2)),
    ],
)
def test_a_text_is_read_and_written_back(text, expected):
    found = as_schedule(text, "g_lr")
    assert found == expected
    assert as_schedule(str(found), "g_lr") == expected
    assert repr(found) == str(found)


@pytest.mark.parametrize(
    "value",
    [
        *("", "none", "fast", "nan", "inf", "cosine", "cosine(1, 2)", "cosine(1, 2, 3)"),
        *("cosin(1, 2, images=3)", "linear(1, 2, images=0)", "linear(1, x, images=3)"),
        *("linear(1, 1e999, images=3)", "linear(1, 2, images=3),linear(1, 2, images=3)"),
        *("linear(1, 2, images=True)", "linear(1, 2, steps=3)", "linear(1, 2, images=3", None),
        *(True, [1], float("nan")),
    ],
)
def test_anything_else_is_an_error_that_shows_the_forms(value):
    forms = r"g_lr is a number, linear\(start, end, images=N\) or cosine\(start, end, images=N\)\. "
    with pytest.raises(ValueError, match=forms + "Received: g_lr="):
        as_schedule(value, "g_lr")


@pytest.mark.parametrize("values", [("step", 0, 1, 2), ("linear", 0, 1, 0), ("cosine", "a", 1, 2)])
def test_a_schedule_that_is_none_is_refused(values):
    with pytest.raises(ValueError, match=r"A schedule is one of .*Received: "):
        Schedule(*values)


def test_what_it_says_of_itself():
    schedule = Schedule("cosine", 0.05, 0.005, 20e6)
    assert ends(schedule) == (0.005, 0.05)
    assert ends(3.0) == (3.0, 3.0)
    assert in_words(str(schedule)) == "0.05 to 0.005 along a cosine over 20,000,000 images"
    assert in_words("linear(0, 5e6, images=10)") == "0 to 5,000,000 evenly over 10 images"
    assert in_words(2e-4) == "0.0002"


def test_mistakes_are_said_before_tensorflow_is_loaded():
    code = "import sys, tf_diffaug.schedules; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
