"""What a run measures while it trains: any metrics, of one pass, at little cost for the FID."""

import dataclasses
import logging

import numpy as np
import pytest

from tests.runs import save_run
from tf_diffaug import random
from tf_diffaug.data import ImageData
from tf_diffaug.evaluation import evaluate_fid, load_extractor, reference_statistics
from tf_diffaug.evaluation.metrics import METRICS, FeatureSet, FeatureSets, Moments, measure
from tf_diffaug.evaluation.metrics.fid import fid
from tf_diffaug.evaluation.metrics.registry import temporarily_registered
from tf_diffaug.images import to_uint8
from tf_diffaug.runs import load_run
from tf_diffaug.runs.evaluate import evaluate
from tf_diffaug.runs.evaluator import make_evaluator
from tf_diffaug.runs.reals import Reals, check_evaluation

SEVERAL = "fid,kid,precision,recall"
NUM_FAKES = 50


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tf_diffaug"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    return save_run(folder, fid_features="emoji-cnn", num_fakes=NUM_FAKES, metrics=SEVERAL)


@pytest.fixture(scope="module")
def run(folder):
    return load_run(folder)


def with_settings(run, **settings):
    """The run's settings, others in the place of some."""
    return dataclasses.replace(run.config, **settings)


def evaluator(run, metrics, **settings):
    config = with_settings(run, metrics=metrics, **settings)
    return make_evaluator(config, run.data, run.sampler)


def counted(monkeypatch, extractor):
    """How many images it is shown, batch by batch."""
    seen, outputs = [], extractor.outputs
    monkeypatch.setattr(extractor, "outputs", lambda i: seen.append(len(i)) or outputs(i))
    return seen


def fakes_of(run):
    images = to_uint8(run.sampler(128, random.derive(run.seed, "sample", step=0)))
    return images.numpy()[:NUM_FAKES]


def balls(features, others, k):
    """Whether each of others lies within the k-th nearest neighbour of any of the features."""
    own = np.linalg.norm(features[:, None] - features[None], axis=-1)
    radii = np.sort(own, axis=1)[:, k]  # the first is itself
    return (np.linalg.norm(others[:, None] - features[None], axis=-1) <= radii).any(axis=1)


def test_a_record_has_every_value_by_name_and_then_the_protocol(run):
    record = evaluator(run, SEVERAL)(run.gan)
    names = ["fid", "kid", "kid_stderr", "precision", "recall", "protocol"]
    assert [*record] == names
    extractor = load_extractor("emoji-cnn")
    reals, fakes = (
        np.asarray(extractor(images), np.float64) for images in (run.data.images, fakes_of(run))
    )
    assert record["precision"] == pytest.approx(balls(reals, fakes, 3).mean())
    assert record["recall"] == pytest.approx(balls(fakes, reals, 3).mean())
    seed = random.derive_int(run.seed, "evaluation", index=0)
    sets = FeatureSets(FeatureSet(fakes), FeatureSet(reals))
    for name, value in measure(sets, ["fid", "kid"], seed=seed).items():
        assert record[name] == pytest.approx(value, rel=1e-4)
    assert record["protocol"]["num_reals"] == len(reals)


def test_one_pass_gives_all_metrics(run, monkeypatch):
    evaluate = evaluator(run, SEVERAL)
    seen = counted(monkeypatch, evaluate.extractor)
    evaluate(run.gan)
    assert seen == [128]


def test_the_fid_alone_keeps_no_features_and_is_that_of_evaluate_fid(run, monkeypatch, cache):
    measured = evaluator(run, "fid")
    assert isinstance(measured.reals.features.reference, Moments)
    assert [path.name.split("-")[0] for path in cache.iterdir()] == ["reference"]
    extractor = load_extractor("emoji-cnn")
    expected = evaluate_fid(
        measured.fakes(),
        reference_statistics(run.data.images, extractor, cache_dir=None),
        extractor,
        num_fakes=NUM_FAKES,
        batch_size=128,
        protocol=measured.protocol(run.gan),
    )
    assert measured(run.gan) == expected
    assert [*expected] == ["fid", "protocol"]
    beside = evaluator(run, SEVERAL)(run.gan)
    assert beside["fid"] == pytest.approx(expected["fid"], rel=1e-9)
    assert beside["protocol"] == expected["protocol"]


def test_a_finished_run_is_measured_in_the_same_way(run):
    record = evaluate(run, ["fid"], seeds=1)
    assert record["values"]["fid"]["mean"] == evaluator(run, "fid")(run.gan)["fid"]
    several = evaluate(run, SEVERAL.split(","), seeds=1)["values"]
    for name, value in evaluator(run, SEVERAL)(run.gan).items():
        if name in ("fid", "precision", "recall"):
            assert several[name]["mean"] == value


def test_what_a_metric_draws_follows_from_the_seed_and_the_step(run):
    evaluate = evaluator(run, "kid", best_by="kid")
    first, again = evaluate(run.gan), evaluate(run.gan)
    assert first == again
    run.gan.step.assign(1)
    later = evaluate(run.gan)
    run.gan.step.assign(0)
    # The fakes are the same, and of the subsets the jackknife knows nothing.
    assert later["kid"] != first["kid"]
    assert later["kid_stderr"] == first["kid_stderr"]
    assert evaluator(run, "kid", best_by="kid")(run.gan) == first


def test_features_of_reals_are_made_once_and_then_read(run, monkeypatch, cache, caplog):
    first = evaluator(run, SEVERAL)(run.gan)
    (path,) = cache.iterdir()
    assert path.name.startswith("features-")
    extractor = load_extractor("emoji-cnn")
    seen = counted(monkeypatch, extractor)
    monkeypatch.setattr("tf_diffaug.runs.reals.extractor_for", lambda *given: extractor)
    second = evaluator(run, SEVERAL)
    assert seen == []
    assert second(run.gan) == first
    for damage in (lambda content: content[:-30], lambda content: b"x" * 99):
        path.write_bytes(damage(path.read_bytes()))
        with caplog.at_level(logging.WARNING):
            again = evaluator(run, SEVERAL)
        assert "The cached features" in caplog.text
        assert "damaged" in caplog.text
        assert again(run.gan) == first
    np.savez(path, features=np.zeros((5, 64), np.float32))
    assert evaluator(run, SEVERAL)(run.gan) == first
    make_evaluator(run.config, run.data, run.sampler, cache=False)
    assert [*cache.iterdir()] == [path]


def test_held_out_images_are_looked_at_where_there_are_some(run):
    images = run.data.images
    split = ImageData("pictures", images[:8], test=images[8:])
    config = with_settings(run, metrics="fid,ct,auth_pct")
    record = make_evaluator(config, split, run.sampler)(run.gan)
    assert {"fid", "ct", "auth_pct"} <= record.keys()
    assert record["protocol"]["split"] == "test"
    assert record["protocol"]["num_reals"] == 4
    reals = Reals(config, split, config.metric_names).features
    assert reals.held_out is reals.reference
    assert len(reals.train) == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"metrics": "fid,ct,fld_gap"},
            r"ct and fld_gap: measured on held-out images.*none. Choose from auth_pct, coverage, "
            r"density, fid,.* Received: --metrics=fid,ct,fld_gap",
        ),
        ({"metrics": "fid,is"}, r"is: .*emoji-cnn does not give.*Received: --metrics=fid,is"),
        (
            {"metrics": "fid,kid", "fid_features": "none"},
            r"--fid_features=none has none.*--metrics=fid,kid",
        ),
        ({"fid_split": "test"}, "no test images"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(run, settings, message):
    with pytest.raises(ValueError, match=message):
        make_evaluator(with_settings(run, **settings), run.data, run.sampler)


def test_without_features_nothing_is_measured(run):
    config = with_settings(run, metrics="fid", fid_features="none")
    check_evaluation(config, run.data)
    assert make_evaluator(config, run.data, run.sampler) is None
    with pytest.raises(ValueError, match="no features to measure with: add --fid_features=auto"):
        Reals(config, run.data, ["fid"])


def test_a_metric_of_ones_own_of_moments_is_as_cheap(run):
    facts = {"summary": "twice the FID", "source": "here", "better": "lower", "of_moments": True}
    twice = lambda sets, seed: {"twice": 2 * fid(sets, seed)["fid"]}  # noqa: E731
    with temporarily_registered("twice", twice, **facts):
        measured = evaluator(run, "fid,twice")
        assert not measured.reals.features.are_whole
        record = measured(run.gan)
    assert record["twice"] == 2 * record["fid"]
    assert "twice" not in METRICS
