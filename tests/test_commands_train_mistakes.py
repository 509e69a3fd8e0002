"""Mistakes in train.py's flags: exit code 2, one line that says which, and nothing written."""

import functools
import json

import pytest

from tests.train_command import SMALL, run, written
from tf_diffaug.training import strategy
from tools.launch_local import free_ports

MISTAKES = {
    "dataset": (["--dataset=emoji_face"], "emoji_faces"),
    "missing folder": (["--dataset=folder:/no/such/place"], "/no/such/place"),
    "missing CIFAR": (["--dataset=cifar10", "--data_dir=/no/such/place"], "/no/such/place"),
    "resolution": (["--resolution=20"], "multiples of 8"),
    "features": (["--fid_features=emoji-cmm"], "emoji-cnn"),
    "split": (["--fid_split=test"], "no test images"),
    "metric": (["--metrics=fid,kit"], "Did you mean 'kid'? Choose from auth_pct, "),
    "metric's flag": (["--metrics=fid,kit"], "Received: --metrics=fid,kit."),
    "best by": (["--metrics=kid", "--best_by=fid"], "from kid. Received: --best_by=fid --metrics"),
    "best by neither": (["--metrics=fid,auth_pct", "--best_by=auth_pct"], "Choose from fid."),
    "held out": (["--metrics=fid,ct"], "emoji_faces has none. Choose from auth_pct, "),
    "held out, explained": (["--metrics=fid,ct", "--explain"], "Received: --metrics=fid,ct."),
    "no classifier": (["--metrics=fid,is"], "emoji-cnn does not give"),
    "no features": (["--metrics=fid,kid", "--fid_features=none"], "leave one of the two out"),
    "too many images": (["--num_images=4000"], "4000"),
    "strategy": (["--strategy=multi_worker"], "TF_CONFIG"),
    "a pattern": (["--run_dir=runs/[0]"], "Received: --run_dir=runs/[0]."),
    "replicas": (["--strategy=mirrored", "--batch_size=5"], "multiple of the 2 replicas"),
    "regularizer": (["--regularizers=r3:1"], "r1"),
    "model option": (["--model=biggan(attention=7)"], "attention"),
    "model of words": (["--model=stylegan2(w_dim=wide)"], "w_dim is int"),
    "model's resolution": (["--model=biggan", "--resolution=48"], "32, 64, 128"),
    "group": (["--model=stylegan2", "--batch_size=6", "--width=2"], "stylegan2(group_size=2)"),
    "psi": (["--model=stylegan2", "--truncation=2", "--width=2"], "truncation is in [0, 1]"),
    "no styles": (["--regularizers=path_length"], "add --model=stylegan2"),
    "model option's value": (["--model=biggan(layout=autor)", "--explain"], "'author'"),
    "no path": (["--dataset=folder:"], "folder:PATH"),
    "one image": (["--num_images=1"], "add --fid_features=none"),
    "preview of no picture": (["--policy=color", "--preview=."], "Received: --preview=."),
    "preview in another's place": (["--policy=color", "--preview=mine.png"], "mine.png exists"),
    "two actions": (["--preview", "--explain"], "at a time. Received: --explain --preview."),
    "no labels": (
        ["--model=biggan", "--width=2", "--conditional", "--dataset=emoji_faces"],
        "labels",
    ),
    "no labels to hide": (
        ["--model=biggan", "--conditional", "--label_fraction=.1", "--regularizers=s3gan"],
        "has no labels",
    ),
    "no one to label": (
        ["--model=biggan", "--conditional", "--dataset=emoji", "--label_fraction=.1"],
        "add --regularizers=s3gan",
    ),
    "nothing to compare": (["--regularizers=bcr:10"], "bcr compares images"),
    "unused policy": (["--policy=color", "--augment=none"], "Nothing would use the policy"),
    "no policy": (["--augment=reals"], "needs an augmentation"),
    "preview of nothing": (["--preview"], "--policy="),
    "damaged run": (["--run_dir=damaged"], "config.json"),
}


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("no.such.host.invalid:2222", "names a host that is not known"),
        ("127.0.0.1:9", "there is no worker of this run"),
    ],
)
def test_a_worker_at_a_wrong_address_is_one_line(here, capsys, monkeypatch, host, reason):
    soon = functools.partial(strategy.meet, within=0.1)
    monkeypatch.setattr(strategy, "meet", soon)
    own = f"127.0.0.1:{free_ports(1)[0]}"
    task = {"cluster": {"worker": [own, host]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    assert run("--strategy=multi_worker", "--fid_features=none", *SMALL[:1]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert reason in error
    assert f"Received: {host}" in error
    assert written(here) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_writes_nothing(here, capsys, mistake):
    flags, expected = MISTAKES[mistake]
    if mistake == "damaged run":
        (here / "damaged").mkdir()
        (here / "damaged" / "config.json").write_text("{")
    (here / "mine.png").write_text("no picture of ours")
    before = written(here)
    assert run(*flags) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error
    assert written(here) == before
