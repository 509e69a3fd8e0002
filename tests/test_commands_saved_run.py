"""What the commands on finished runs share: flags, checks and places for results."""

import dataclasses
import os
import pathlib

import pytest

from tf_diffaug.commands import saved_run
from tf_diffaug.commands.flags import Flag
from tf_diffaug.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counted(saved_run.Asked):
    """Of a command with a flag of its own."""

    count: int = 3
    sizes: tuple[int, ...] = ()


def sizes(text):
    return tuple(map(int, text.split(",")))


FLAGS = saved_run.flags(
    Flag("count", int, "how many"), Flag("sizes", sizes, "of what"), out="a folder"
)


def read(*arguments, several=False):
    return saved_run.read(Counted, FLAGS, arguments, command="count", several=several)


def test_flags_and_folders_in_any_order():
    asked = read("--count=2", "a", "--sizes=4,5", "b", "--checkpoint=7", several=True)
    assert asked.run_dirs == (pathlib.Path("a"), pathlib.Path("b"))
    assert (asked.run_dir, asked.count, asked.sizes) == (pathlib.Path("a"), 2, (4, 5))
    assert (asked.checkpoint, asked.overwrite) == ("7", False)


def test_only_what_was_given_replaces_the_runs_own():
    assert read("a").replaced == {}
    assert read("a", "--num_fakes=auto", "--seed=0").replaced == {}
    given = read("a", "--num_fakes=7", "--fid_features=none", "--dataset=folder:x")
    expected = {"num_fakes": 7, "fid_features": "none", "dataset": "folder:x"}
    assert given.replaced == expected


@pytest.mark.parametrize(
    ("arguments", "several", "expected"),
    [
        ([], False, "one RUN_DIR is needed, as in count runs/NAME. Received: none."),
        ([], True, "at least one RUN_DIR is needed, as in count runs/NAME. Received: none."),
        (["a", "b"], False, "one RUN_DIR is needed, as in count runs/NAME. Received: 2: a b."),
        (["a", "--seed=-1"], False, "--seed must be at least 0. Received: --seed=-1."),
        (["a", "--num_fakes=1"], False, "--num_fakes must be at least 2. Received: --num_fakes=1."),
        (
            ["a", "--checkpoint=-2"],
            False,
            "--checkpoint is newest, best or a step. Received: --checkpoint=-2.",
        ),
    ],
)
def test_a_mistake_is_said_in_flags(arguments, several, expected):
    with pytest.raises(UserError) as caught:
        read(*arguments, several=several)
    assert str(caught.value) == expected


def test_flags_that_mean_nothing_to_a_command_are_left_out():
    left = {flag.name for flag in saved_run.flags(out="a file", without=("num_fakes", "data_dir"))}
    assert left == {"checkpoint", "fid_features", "seed", "dataset", "out", "overwrite"}


def test_words_of_flags_that_a_command_has_not_stay():
    text = "`channels` and `dataset` differ. Received: num_fakes=4, resolution=8."
    with pytest.raises(UserError) as caught, saved_run.mistakes(read("a", "--num_fakes=4")):
        raise UserError(text)
    assert str(caught.value) == text
    from tf_diffaug.commands.resolve import as_flags

    assert as_flags(read("a", "--num_fakes=4"), text) == (
        "`channels` and --dataset differ. Received: --num_fakes=4, resolution=8."
    )


def test_what_exists_is_refused_unless_it_may_be_replaced(tmp_path):
    file, empty, full = tmp_path / "a.json", tmp_path / "empty", tmp_path / "full"
    file.write_text("{}")
    empty.mkdir()
    full.mkdir()
    (full / "b.png").touch()
    saved_run.refuse_outputs(read("a"), tmp_path / "new" / "deep" / "a.json", empty)
    for taken in (file, full):
        with pytest.raises(UserError, match=r"exists. Add --overwrite, or choose another --out."):
            saved_run.refuse_outputs(read("a"), empty, taken)
        saved_run.refuse_outputs(read("a", "--overwrite"), taken)


def test_a_place_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    asked = read("a", "--overwrite")
    with pytest.raises(UserError, match=r"cannot write to .*file/x. Choose another --out."):
        saved_run.refuse_outputs(asked, tmp_path / "file" / "x")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match=r"cannot write to .*x. Choose another --out."):
        saved_run.refuse_outputs(asked, tmp_path / "x")


def test_what_is_done_when_it_is_first_told_of_has_no_bar(capsys):
    with saved_run.progress(of="Features") as report:
        report(8, 8)
    assert capsys.readouterr().err == ""


def test_progress_says_how_much_is_done(capsys):
    with saved_run.progress("page") as report:
        report(2, 8)
        report(8, 8)
    shown = capsys.readouterr().err
    assert "8.00/8.00" in shown
    assert "page" in shown
