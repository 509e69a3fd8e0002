"""Which errors are the user's, and which are bugs."""

import pytest

from app.errors import UserError, nearest, one_line, unknown, user_settings
from tf_diffaug.data import load


def test_what_the_library_refuses_is_one_line():
    with pytest.raises(UserError, match="Did you mean 'emoji_faces'") as caught, user_settings():
        load("emoji_face")
    assert "\n" not in str(caught.value)


def test_a_value_error_from_elsewhere_is_a_bug():
    with pytest.raises(ValueError, match="Axes") as caught, user_settings():
        _from_numpy()
    assert not isinstance(caught.value, UserError)


def _from_numpy():
    # Code that lies outside the project.
    code = compile("raise ValueError('Axes do not match')", "/site-packages/numpy/core.py", "exec")
    exec(code, {})


def test_files_are_the_users(tmp_path):
    with pytest.raises(UserError, match=r"No such file or directory: .*missing"), user_settings():
        (tmp_path / "missing").read_text()


def test_an_error_of_many_lines_is_one():
    assert one_line(ValueError("first\n  second")) == "first second"
    assert one_line(OSError(28, "No space left on device", "x")) == "No space left on device: x"
    assert one_line(OSError("plain")) == "plain"


def test_unknown_names_have_a_nearest():
    assert nearest("Colour", ["color", "cutout"]) == "color"
    assert nearest("zzz", ["color"]) is None
    assert unknown("op", "zzz", ["color"]) == "unknown op 'zzz'. Choose from color."
