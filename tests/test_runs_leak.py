import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.commands import main
from tf_diffaug.data import ImageData
from tf_diffaug.evaluation.leak import Leak
from tf_diffaug.runs import leak, parts
from tf_diffaug.runs.config import Config

GAN = SimpleNamespace(step=tf.constant(1_500))
IMAGES = np.zeros([40, 8, 8, 3], np.uint8)
DATA = ImageData("some", IMAGES)


class Gauge:
    """Takes samples for as augmented as their first value says."""

    is_usable = True

    def __init__(self, images, augmenter, *, seed):
        assert str(augmenter.policy) == "color,cutout"
        assert len(images) == 40

    def __call__(self, samples):
        assert samples.shape == (512, 8, 8, 3)
        return Leak(share=float(samples[0, 0, 0, 0]), threshold=0.25, neither=0.125)


class Puzzled(Gauge):
    def __call__(self, samples):
        return Leak(share=None, threshold=None, neither=1.0)


class Blind(Gauge):
    is_usable = False


def watch(monkeypatch, *, gauge=Gauge, value=0.5, policy="color,cutout", data=DATA):
    monkeypatch.setattr(leak, "LeakGauge", gauge)
    return leak.LeakWatch(
        lambda gan: {"fid": 1.0},
        Config(policy=policy),
        data,
        lambda count, seed: tf.fill([count, 8, 8, 3], value),
    )(GAN)


def test_a_leak_is_in_the_record_and_said_in_one_line(monkeypatch, capsys):
    record = watch(monkeypatch)
    assert record == {
        "fid": 1.0,
        "leak": 0.5,
        "leak_threshold": 0.25,
        "leak_neither": 0.125,
        "leak_verdict": "leaks",
    }
    assert capsys.readouterr().err == (
        "Warning: the augmentation shows in 50% of the samples at step 1,500, more than chance "
        "(25%): color,cutout leaks into them.\n"
    )


def test_below_the_threshold_nothing_is_said(monkeypatch, capsys):
    record = watch(monkeypatch, value=0.2)
    assert record["leak"] == pytest.approx(0.2)
    assert record["leak_verdict"] == "no leak seen"
    assert capsys.readouterr().err == ""


def test_of_samples_like_neither_nothing_is_said(monkeypatch, capsys):
    assert watch(monkeypatch, gauge=Puzzled) == {
        "fid": 1.0,
        "leak_neither": 1.0,
        "leak_verdict": "not yet like the images",
    }
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("options", [{"gauge": Blind}, {"data": ImageData("few", IMAGES[:31])}])
def test_what_cannot_be_watched_is_said(monkeypatch, options):
    assert watch(monkeypatch, **options) == {"fid": 1.0, "leak_verdict": "not watched"}


def test_without_an_augmentation_there_is_nothing_to_watch(monkeypatch):
    assert watch(monkeypatch, policy="none") == {"fid": 1.0}


def test_the_probe_is_of_the_held_out_images_if_there_are_more(monkeypatch):
    few = ImageData("few", IMAGES[:31], test=IMAGES)
    assert watch(monkeypatch, data=few)["leak_verdict"] == "leaks"
    many = ImageData("many", IMAGES, test=IMAGES[:31])
    assert watch(monkeypatch, data=many)["leak_verdict"] == "leaks"


def check_run(folder, strategy):
    flags = ["--width=2", "--num_images=40", "--batch_size=4", "--num_fakes=20", "--steps=2"]
    flags += ["--policy=cutout", f"--run_dir={folder}", "--nodeterministic", "--noreport"]
    assert main(["train", *flags, f"--strategy={strategy}"]) == 0
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (evaluated,) = (record for record in records if record["kind"] == "eval")
    # After two steps.
    assert evaluated["leak_neither"] > 0.9
    assert evaluated["leak_verdict"] == "not yet like the images"
    assert not {"leak", "leak_threshold"} & set(evaluated)
    assert {"r_t"} <= set(records[0])


def test_a_run_logs_its_leak(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    check_run(tmp_path / "run", "one_device")


@pytest.mark.slow
def test_so_does_a_mirrored_run(tmp_path, monkeypatch, two_replicas):
    # The probe is one device's, whatever the strategy.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(parts, "make_strategy", lambda name: two_replicas)
    check_run(tmp_path / "run", "mirrored")
