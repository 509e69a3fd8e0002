import os

import pytest

from tf_diffaug.commands.closing import closing_lines
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.recipe import settle

EVALUATED = {
    "step": 2,
    "kind": "eval",
    "fid": 1.0,
    "protocol": {
        "features": {"name": "emoji-cnn"},
        "num_fakes": 20,
        "num_reals": 40,
        "split": "train",
    },
}
LEAKS = [
    ({}, []),
    (
        {"leak_neither": 1.0, "leak_verdict": "not yet like the images"},
        ["not yet like the images: whether the augmentation shows in the samples cannot be told"],
    ),
    (
        {"leak": 0.5, "leak_threshold": 0.25, "leak_neither": 0.1, "leak_verdict": "leaks"},
        ["leaks: the augmentation shows in 50% of the samples (up to 25% is chance)"],
    ),
    (
        {"leak": 0.0, "leak_threshold": 0.25, "leak_neither": 0.1, "leak_verdict": "no leak seen"},
        ["no leak seen: the augmentation shows in 0% of the samples (up to 25% is chance)"],
    ),
]


def test_the_last_lines_name_what_comes_next(tmp_path):
    run = RunDirectory(tmp_path)
    text = closing_lines(run, settle(Config()).config)
    for command in ("report", "evaluate", "generate", "export"):
        assert f"python -m tf_diffaug {command} {tmp_path}\n" in text
    assert "  report  " not in text
    (tmp_path / "report.html").touch()
    assert "  report      report.html\n" in closing_lines(run, settle(Config()).config)


def test_a_page_from_before_the_last_records_is_said_to_be_older(tmp_path):
    run = RunDirectory(tmp_path)
    run.append(EVALUATED)
    page, line = tmp_path / "report.html", "  report      report.html"
    page.touch()
    assert f"{line}\n" in closing_lines(run, settle(Config()).config)
    at = run.metrics.stat().st_mtime_ns - 1
    os.utime(page, ns=(at, at))
    assert f"{line} (older than the run's end)\n" in closing_lines(run, settle(Config()).config)


@pytest.mark.parametrize(("found", "expected"), LEAKS, ids=["none", "untold", "leaks", "clean"])
def test_the_last_lines_say_what_the_leak_gauge_does(tmp_path, found, expected):
    run = RunDirectory(tmp_path)
    run.append({**EVALUATED, **found})
    lines = closing_lines(run, settle(Config()).config).splitlines()
    leaks = [line.split(maxsplit=1)[1] for line in lines if line.startswith("  leak ")]
    assert leaks == expected


@pytest.mark.parametrize(
    ("best_by", "expected"),
    [
        ("fid", "best FID 1.00 at step 1, chosen by this FID itself: checkpoints/best"),
        ("kid", "best KID 0.0125 at step 1, chosen by this KID itself: checkpoints/best"),
        ("precision", None),
    ],
)
def test_the_last_lines_have_every_metric_and_the_best(tmp_path, best_by, expected):
    run = RunDirectory(tmp_path)
    last = {"step": 2, "fid": 2.0, "kid": 0.5, "kid_stderr": 0.1, "precision": 0.75}
    run.append({**EVALUATED, "step": 1, "kid": 0.0125, "precision": 0.5})
    run.append({**EVALUATED, **last})
    text = closing_lines(run, Config(metrics="fid,kid,precision", best_by=best_by))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "FID 2.00 (emoji-cnn features, 20 fakes, 40 train images)" in lines
    assert "KID 0.5" in lines
    assert "precision 0.75" in lines
    assert [line for line in lines if line.startswith("best ")] == ([expected] if expected else [])
