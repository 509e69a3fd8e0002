import json

import pytest

from tf_diffaug.training.workers import this_worker


def configure(monkeypatch, cluster, kind="worker", index=0):
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


def test_workers_are_numbered_as_they_are_listed(monkeypatch):
    configure(monkeypatch, {"worker": ["a:1", "b:2"]}, index=1)
    worker = this_worker()
    assert (worker.index, worker.is_chief, worker.others) == (1, False, "a:1")


def test_a_chief_comes_before_the_workers(monkeypatch):
    cluster = {"worker": ["a:1", "b:2"], "chief": ["c:3"]}
    configure(monkeypatch, cluster, kind="chief")
    assert this_worker().is_chief
    configure(monkeypatch, cluster)
    assert (this_worker().index, this_worker().others) == (1, "c:3, b:2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_another_config_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=r"Received: TF_CONFIG="):
        this_worker()


def test_no_config_is_refused(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="no TF_CONFIG"):
        this_worker()
