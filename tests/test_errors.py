"""Which errors are the user's, and which are bugs."""

import pytest

from tf_diffaug.commands import main
from tf_diffaug.data import load
from tf_diffaug.errors import UserError, one_line, user_mistakes


def test_what_the_library_refuses_is_one_line():
    with pytest.raises(UserError, match="Did you mean 'emoji_faces'") as caught, user_mistakes():
        load("emoji_face")
    assert "\n" not in str(caught.value)


def test_a_value_error_from_elsewhere_is_a_bug():
    with pytest.raises(ValueError, match="Axes") as caught, user_mistakes():
        _from_numpy()
    assert not isinstance(caught.value, UserError)


def _from_numpy():
    # Code that lies outside the project.
    code = compile("raise ValueError('Axes do not match')", "/site-packages/numpy/core.py", "exec")
    exec(code, {})


def test_files_are_the_users(tmp_path):
    with pytest.raises(UserError, match=r"No such file or directory: .*missing"), user_mistakes():
        (tmp_path / "missing").read_text()


def test_an_error_of_many_lines_is_one():
    assert one_line(ValueError("first\n  second")) == "first second"
    assert one_line(OSError(28, "No space left on device", "x")) == "No space left on device: x"
    assert one_line(OSError("plain")) == "plain"


def test_a_clone_of_any_name_leaves_other_packages_errors_alone(tmp_path):
    # As TensorFlow in the environment inside a clone that is called tf_diffaug.
    code = "raise ValueError('Shapes do not match')"
    filename = tmp_path / "tf_diffaug" / ".venv" / "tensorflow" / "ops.py"
    with pytest.raises(ValueError, match="Shapes") as caught, user_mistakes():
        exec(compile(code, str(filename), "exec"), {})
    assert not isinstance(caught.value, UserError)


def test_a_users_words_take_the_place_of_the_librarys():
    with pytest.raises(UserError, match="DID YOU MEAN"), user_mistakes(str.upper):
        load("emoji_face")


def test_a_line_is_fit_for_any_terminal():
    assert one_line(ValueError("a\x1b[2J\ud800 caf\udce9 é\nb")) == "a\\x1b[2J\\ud800 caf\\xe9 é b"


@pytest.mark.parametrize("name", ["caf\udce9", "\x1b[2J"])
def test_names_that_cannot_be_printed_are_escaped(name, capsys):
    assert main(["train", f"--run_dir={name}", "--explain", "--nodeterministic"]) == 0
    assert main(["train", f"--steps={name}"]) == 2
    assert "\ud800" not in "".join(capsys.readouterr())
