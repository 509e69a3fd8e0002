"""What benchmarks/evaluate.py holds against what; no test looks at a clock."""

import argparse
import builtins

import numpy as np
import pytest

from benchmarks import evaluate, records, torch_metrics


def arguments(**given):
    common = {"num_images": 40, "num_features": 8, "held_out": False, "repeats": 1}
    return argparse.Namespace(**{**common, "torch_python": None, "metrics": None, **given})


def test_features_are_as_those_of_a_relu():
    features = torch_metrics.make_features(50, 6, 1)
    assert features.shape == (50, 6)
    assert features.dtype == np.float32
    assert features.min() == 0 < features.max()
    np.testing.assert_array_equal(features, torch_metrics.make_features(50, 6, 1))
    assert (features != torch_metrics.make_features(50, 6, 2)).any()


def test_fid_agrees_with_tfgans():
    pytest.importorskip("tensorflow_gan")
    fakes, reals = (torch_metrics.make_features(200, 8, seed) for seed in (2, 1))
    theirs = evaluate.tfgan_works(fakes, reals)["TF-GAN's FID"]()
    assert evaluate.our_fid(fakes, reals) == pytest.approx(theirs, rel=1e-6)


def test_without_peers_it_says_so(tmp_path, monkeypatch):
    imports = builtins.__import__

    def fail(name, *rest, **given):
        if name == "tensorflow_gan":
            raise ImportError("No module named 'tensorflow_gan'")
        return imports(name, *rest, **given)

    monkeypatch.setattr(builtins, "__import__", fail)
    path = tmp_path / "figures"
    evaluate.compare(arguments(held_out=True), records.Recorder(path))
    figures, missing = records.read(path)
    assert [each.what for each in missing] == ["TF-GAN", "torch-fidelity"]
    rows = {figure.row for figure in figures}
    assert rows == {
        *("FID", "all metrics", "all metrics of three seeds"),
        *("all metrics, with held-out images", "C_T", "FLD gap"),
    }
    assert {figure.column for figure in figures} == {"clock", "processor"}


def test_theirs_are_held_against_ours():
    seconds = {
        "FID": [1.0],
        "all metrics": [2.0],
        "TF-GAN's FID": [3.0],
        "TF-GAN's KID": [4.0],
        "torch-fidelity's FID and KID": [5.0],
    }
    assert [(times, ours) for _, times, ours in evaluate.held_against(seconds)] == [
        ([3.0], "FID"),
        ([7.0], "all metrics"),
        ([5.0], "all metrics"),
    ]
    assert [*evaluate.held_against({"FID": [1.0], "all metrics": [1.0]})] == []


def test_memory(tmp_path):
    path = tmp_path / "figures"
    evaluate.state_memory(arguments(metrics="fid,kid"), records.Recorder(path))
    held, peak, after = records.read(path)[0]
    assert 0 < held.value <= peak.value + 0.01
    assert peak.value <= after.value
    assert after.row == "fid,kid"
