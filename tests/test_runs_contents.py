"""Files of a run that are not as this package writes them."""

import json
import os

import pytest

from tests.reports import PROTOCOL, evaluation, write_run
from tf_diffaug.commands import main
from tf_diffaug.errors import UserError
from tf_diffaug.runs import RunDirectory
from tf_diffaug.runs.contents import parse_json, read_json
from tf_diffaug.runs.saved import read_saved

FACTS = {"label_counts": [60, 70], "class_names": ["cat", "dog"]}
INITIAL = {"source": "runs/before", "step": 3, "fingerprint": "1", "layers": 9}


def test_what_is_as_it_should_be_passes(tmp_path):
    run = write_run(tmp_path / "run", facts=FACTS, initial=INITIAL)
    assert read_saved(run)["data"]["class_names"] == ["cat", "dog"]
    assert len(RunDirectory(run).records()) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": []}, "data is not an object"),
        ({"data": {"num_images": "130"}}, "data.num_images is not a whole number from 0"),
        ({"data": {"class_names": [3]}}, "data.class_names is not a text"),
        ({"data": {"label_counts": [1]}}, "data is not an object with 'name'"),
        ({"data": {"name": "\x1b[2J"}}, "data.name is not a text that can be printed"),
        ({"versions": {"python": []}}, "versions.python is not one value"),
        ({"versions": 3}, "versions is not an object"),
        ({"initial_weights": {}}, "initial_weights is not an object with 'source'"),
        ({"initial_weights": {**INITIAL, "more": 1}}, "initial_weights.more is not known"),
    ],
)
def test_a_configuration_of_other_kinds(tmp_path, change, message):
    run = write_run(tmp_path / "run")
    saved = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**saved, **change}))
    with pytest.raises(UserError, match=rf"config.json is damaged: {message}\. Give another"):
        read_saved(run)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"channels": 7}, "data.channels is not 1, 3 or 4"),
        ({"label_counts": None}, "data.label_counts is not a list of all classes"),
        ({"class_names": ["cat"]}, "data.class_names is not a name a class"),
    ],
)
def test_facts_that_contradict_each_other(tmp_path, facts, message):
    facts = {**FACTS, **facts}
    run = write_run(tmp_path / "run", facts=facts, model="biggan", conditional=True)
    with pytest.raises(UserError, match=message):
        read_saved(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": "3"}, "step is not a whole number from 0"),
        ({"step": 1 << 40}, "step is not a whole number from 0"),
        ({"kind": []}, "kind is not a text"),
        ({"fid": "good"}, "fid is not a number"),
        ({"fid": 10**400}, "fid is not a number of 64 bits"),
        ({"d_loss": 10**400}, "d_loss is not a number of 64 bits"),
        ({"new": -(10**400)}, "new is not a number of 64 bits"),
        ({"protocol": {**PROTOCOL, "num_fakes": "20"}}, "protocol.num_fakes is not a whole number"),
        ({"protocol": {**PROTOCOL, "features": [1]}}, "protocol.features is not a text"),
        ({"readings": {"fid": 3}}, "readings.fid is not a text"),
        ({"\x1b[2J": 1.0}, "it is not a text that can be printed"),
    ],
)
def test_a_record_of_other_kinds(tmp_path, change, message):
    run = write_run(tmp_path / "run", steps=())
    record = {"step": 1, "kind": "eval", "fid": 3.0, "protocol": PROTOCOL, **change}
    (run / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    with pytest.raises(ValueError, match=rf"line 1 is no record\. There, {message}"):
        RunDirectory(run)


@pytest.mark.parametrize("part", ["values", "readings", "protocol"])
def test_an_evaluation_without_a_part_is_shown(tmp_path, capsys, part):
    record = evaluation()
    del record[part]
    run = write_run(tmp_path / "run", evaluations=[record])
    assert main(["evaluate", "--compare", str(run), str(run)]) == 0
    assert capsys.readouterr().err == ""


def test_a_value_nested_without_end():
    assert parse_json(b"[" * 9 + b"]" * 9)
    for text in (b"[" * 100 + b"]" * 100, b"[" * 99999 + b"]" * 99999):
        with pytest.raises(ValueError, match="it is nested"):
            parse_json(text)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(OSError, match="pipe or a device"):
        read_json(tmp_path / "config.json")


@pytest.mark.parametrize(
    "part", ["config.json", "metrics.jsonl", "checkpoints", "samples/0000010.png", "generated"]
)
def test_a_part_that_is_a_link_to_elsewhere(tmp_path, part):
    run = write_run(tmp_path / "run")
    place = run / part
    elsewhere = tmp_path / "elsewhere"
    if place.exists():
        place.rename(elsewhere)
    else:
        elsewhere.mkdir()
    place.symlink_to(elsewhere)
    for read in (read_saved, RunDirectory):
        with pytest.raises(UserError, match="is a link out of the run's folder"):
            read(run)


def test_links_within_a_run_and_to_a_run_are_followed(tmp_path):
    run = write_run(tmp_path / "run")
    (run / "samples/newest.png").symlink_to("0000010.png")
    (tmp_path / "link").symlink_to(run)
    assert read_saved(tmp_path / "link") is not None
    assert RunDirectory(tmp_path / "link").records()
