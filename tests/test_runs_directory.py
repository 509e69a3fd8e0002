import json

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.runs import RunDirectory

SHEET = np.zeros((4, 6, 3), np.uint8)


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    for step in (1, 2, 3):
        run.append({"step": step, "kind": "train", "d_loss": float(step)})
        run.write_sample(step, SHEET)
    run.append({"step": 2, "kind": "eval", "fid": 5.0})
    return run


def events(run):
    found = []
    for path in run.tensorboard.iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found += [(event.step, value.tag) for value in event.summary.value]
    return sorted(found)


def test_every_value_of_an_evaluation_is_on_the_board(run):
    values = {"kid": 0.5, "kid_stderr": 0.1, "precision": 1.0, "protocol": {"step": 3}}
    run.append({"step": 3, "kind": "eval", **values})
    found = {tag for step, tag in events(run) if step == 3}
    assert {"eval/kid", "eval/kid_stderr", "eval/precision"} <= found


def test_nothing_is_made_before_something_is_written(tmp_path):
    run = RunDirectory(tmp_path / "run")
    assert run.records() == []
    assert run.last("eval") is None
    assert not run.path.exists()


def test_records_come_back_in_order(run):
    assert [record["step"] for record in run.records()] == [1, 2, 3, 2]
    assert [record["step"] for record in run.records("eval")] == [2]
    assert run.last("train")["step"] == 3
    assert RunDirectory(run.path).last("eval")["fid"] == 5.0


def test_a_line_cut_short_is_no_record(run):
    with open(run.metrics, "a") as file:
        file.write('{"step": 4, "ki')
    assert [record["step"] for record in run.records("train")] == [1, 2, 3]
    run.rewind(3)
    run.append({"step": 4, "kind": "train"})
    assert [record["step"] for record in run.records("train")] == [1, 2, 3, 4]


def test_rewinding_drops_what_came_after(run):
    run.rewind(2)
    assert [record["step"] for record in run.records()] == [1, 2, 2]
    assert run.last("train")["step"] == 2
    assert [path.name for path in sorted(run.samples.iterdir())] == ["0000001.png", "0000002.png"]
    run.rewind(0)
    assert run.last("eval") is None


def test_rewinding_leaves_alone_what_is_not_its_own(run):
    (run.samples / "0000001.png").write_bytes(b"damaged")
    (run.samples / "2024.png").write_bytes(b"a photograph")
    (line,) = run.rewind(2)
    assert "0000001.png is no PNG, or is damaged" in line
    assert {"0000001.png", "2024.png"} <= {path.name for path in run.samples.iterdir()}


def test_tensorboard_shows_what_the_run_holds(run):
    run.rewind(2)
    run.append({"step": 5, "kind": "train", "d_loss": 1.0})
    assert events(run) == [
        *((1, "samples"), (1, "train/d_loss"), (2, "eval/fid"), (2, "samples")),
        *((2, "train/d_loss"), (5, "train/d_loss")),
    ]


def test_what_float32_has_no_room_for_is_on_the_board(run):
    run.append({"step": 6, "kind": "train", "d_loss": 1e308})
    run.rewind(6)
    assert (6, "train/d_loss") in events(run)


def test_the_configuration_is_json(run):
    run.write_config({"steps": 3})
    assert json.loads(run.config.read_text()) == {"steps": 3}


def test_a_full_disk_is_said_of_the_file(tmp_path):
    run = RunDirectory(tmp_path)
    run.metrics.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*metrics\.jsonl'"):
        run.append({"step": 1, "kind": "train"})
