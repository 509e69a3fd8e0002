"""A finished run measured by every metric, with its protocol."""

import json
import shutil

import numpy as np
import pytest

from tests.runs import save_run
from tf_diffaug import random
from tf_diffaug.evaluation import compute_statistics, frechet_distance, load_extractor
from tf_diffaug.images import to_uint8
from tf_diffaug.runs import RunDirectory, load_run
from tf_diffaug.runs.evaluate import PROTOCOLS, Reals, evaluate, evaluate_images
from tf_diffaug.runs.generate import ImageSource


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    save_run(
        folder,
        model="biggan(shared_dim=8)",
        conditional=True,
        fid_features="emoji-cnn",
        num_fakes=50,
        seed=0,
    )
    return folder


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(folder):
    return load_run(folder / "run")


@pytest.fixture(scope="module")
def record(run):
    return evaluate(run, seeds=2, per_class=True)


def test_the_first_seed_is_the_runs_own_fid(run, record):
    alone = evaluate(run, ["fid"], seeds=1)
    assert alone["values"]["fid"]["mean"] == pytest.approx(run.evaluator()(run.gan)["fid"])
    extractor = load_extractor("emoji-cnn")
    seeds = [
        frechet_distance(
            compute_statistics(run.data.images, extractor),
            compute_statistics(
                to_uint8(run.sampler(128, random.derive(seed, "sample", step=0)))[:50], extractor
            ),
        )
        for seed in (0, 1)
    ]
    assert record["values"]["fid"]["mean"] == pytest.approx(np.mean(seeds), rel=1e-5)
    assert record["values"]["fid"]["std"] == pytest.approx(np.std(seeds, ddof=1), rel=1e-3)


def test_the_record_has_its_protocol_and_is_json(run, record):
    assert json.loads(json.dumps(record)) == record
    protocol = record["protocol"]
    assert protocol["features"]["name"] == "emoji-cnn"
    expected = {"num_fakes": 50, "num_reals": 12, "split": "train", "seeds": [0, 1], "ema": True}
    assert {key: protocol[key] for key in expected} == expected
    assert protocol["chosen_by"] is None
    assert {"fid", "kid", "precision", "recall", "auth_pct"} <= record["values"].keys()
    assert "ct" not in record["values"]  # nothing is held out


def test_each_class_is_measured_against_its_own_reals(run, record):
    assert {*record["classes"]} == {"cat", "dog", "emu"}
    for values in record["classes"].values():
        assert values["fid"]["mean"] > 0


def test_reals_are_looked_at_once_for_several_checkpoints(run, record):
    told = []
    reals = Reals(
        run.config, run.data, ["fid"], progress=lambda done, total: told.append((done, total))
    )
    assert told == [(12, 12)]
    again = evaluate(run, ["fid"], seeds=2, reals=reals)
    assert again["values"]["fid"] == record["values"]["fid"]


def test_the_best_checkpoint_says_what_chose_it(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    shutil.copytree(folder / "run" / "checkpoints", tmp_path / "run" / "checkpoints" / "best")
    run = load_run(tmp_path / "run", checkpoint="best")
    first = evaluate(run, ["fid"], seeds=1)
    assert (first["protocol"]["chosen_by"], first["protocol"]["chosen_on_same_data"]) == (
        None,
        False,
    )
    measured = run.evaluator()(run.gan)
    run.directory.append({"step": first["step"], "kind": "eval", **measured})
    protocol = evaluate(run, ["fid"], seeds=1)["protocol"]
    assert (protocol["chosen_by"], protocol["chosen_on_same_data"]) == ("FID, train images", True)
    by_precision = load_run(
        run.directory.path, checkpoint="best", metrics="fid,precision", best_by="precision"
    )
    protocol = evaluate(by_precision, ["fid"], seeds=1)["protocol"]
    assert protocol["chosen_by"] == "precision, train images"


def test_protocols_are_settings_of_a_run(folder):
    for name, settings in PROTOCOLS.items():
        config = load_run(folder / "run", **settings).config
        assert config.num_fakes == {"diffaugment": 10_000, "full": 50_000, "low-shot": 5_000}[name]
        assert config.fid_split == ("test" if name == "diffaugment" else "train")


def test_images_against_images(run):
    fakes = ImageSource(run).images(20)
    extractor = load_extractor("emoji-cnn")
    copies = evaluate_images(run.data.images, run.data.images, extractor=extractor)
    assert copies["values"]["auth_pct"]["mean"] == 0
    assert copies["values"]["fid"]["mean"] == pytest.approx(0, abs=1e-3)
    assert "copies" in copies["readings"]["auth_pct"]
    other = evaluate_images(fakes, run.data.images, ["fid"], extractor=extractor)
    assert [*other["values"]] == ["fid"]
    assert other["protocol"]["num_fakes"] == 20


def test_an_evaluation_cut_short_is_no_record_and_spoils_none(tmp_path):
    directory = RunDirectory(tmp_path)
    assert directory.evaluated() == []
    directory.append_evaluation({"step": 1, "kind": "evaluation"})
    with directory.evaluations.open("ab") as file:
        file.write(b'{"step": 2, "ki')
    assert [record["step"] for record in directory.evaluated()] == [1]
    directory.append_evaluation({"step": 3, "kind": "evaluation"})
    assert [record["step"] for record in directory.evaluated()] == [1, 3]


def test_refusals(run, tmp_path):
    with pytest.raises(ValueError, match="seeds=0"):
        evaluate(run, seeds=0)
    with pytest.raises(ValueError, match=r"ct needs .*held-out"):
        evaluate(run, ["ct"], seeds=1)
    save_run(tmp_path, fid_features="none")
    plain = load_run(tmp_path / "run")
    with pytest.raises(ValueError, match="no features to measure with"):
        evaluate(plain)
    reals = Reals(run.config, run.data, ["fid"])
    with pytest.raises(ValueError, match="make reals of keep_all"):
        evaluate(run, ["fid"], per_class=True, reals=reals)
    with pytest.raises(ValueError, match="not conditional"):
        evaluate(plain, per_class=True)
