"""Which labels fakes have, and what these tell D."""

import numpy as np
import pytest

from tf_diffaug.commands import main
from tf_diffaug.runs import labels, parts
from tf_diffaug.runs.config import Config

CONDITIONAL = {"model": "biggan", "conditional": True}


def test_labels_are_hidden_and_fakes_have_those_that_are_known():
    settings = {**CONDITIONAL, "label_fraction": 0.1}
    config = Config(dataset="emoji", resolution=8, fake_labels="data", **settings)
    whole = parts.load_data(Config(dataset="emoji", resolution=8))
    data = parts.load_data(config)
    known = data.labels[data.labels >= 0]
    assert len(known) == round(len(data) / 10)
    assert data.num_classes == whole.num_classes
    counts = np.bincount(known, minlength=data.num_classes)
    label_counts = parts.data_facts(data)["label_counts"]
    np.testing.assert_array_equal(labels.frequencies(config, label_counts), counts)


def test_classes_without_an_image_get_no_fakes():
    config = Config(**CONDITIONAL, dataset="emoji", resolution=8, num_images=3)
    counts = parts.data_facts(parts.load_data(config))["label_counts"]
    frequencies = labels.frequencies(config, counts)
    assert len(frequencies) == len(counts) == 10
    assert [f > 0 for f in frequencies] == [count > 0 for count in counts]
    assert sum(frequencies) <= 3
    assert labels.frequencies(Config(dataset="emoji"), counts) is None


def test_labels_tell_reals_from_fakes_as_often_as_the_best_guess():
    rng = np.random.default_rng(0)
    real, fake = rng.integers(1, 9, (2, 7))
    p, q = real / real.sum(), fake / fake.sum()
    # The best D, label by label: it answers with what is the more likely.
    best = sum(max(r, f) for r, f in zip(p, q, strict=True)) / 2
    assert labels.told_by_labels(real, fake) == pytest.approx(best)
    assert labels.told_by_labels(real, 3 * real) == pytest.approx(0.5)
    assert labels.told_by_labels([1, 0], [0, 5]) == pytest.approx(1)


def test_uneven_classes_are_said_with_the_way_out():
    config = Config(**CONDITIONAL)
    (line,) = labels.notices(config, [5, 15])
    assert "5 to 15 images" in line
    assert "62% by the label alone" in line
    assert "--fake_labels=data" in line
    assert "--subset" not in line
    (line,) = labels.notices(Config(**CONDITIONAL, num_images=20), [5, 15])
    assert "--subset=balanced" in line
    none, uneven = labels.notices(config, [0, 5, 15])
    assert none == "1 of 3 classes have no image: they get no fakes."
    assert "62%" in uneven


@pytest.mark.parametrize(
    "settings",
    [
        {"fake_labels": "data"},
        {"loss": "relativistic", "regularizers": "r1:1,r2:1"},
        {"label_fraction": 0.5},
        {"conditional": False},
    ],
)
def test_labels_that_tell_nothing_are_not_spoken_of(settings):
    config = Config(**(CONDITIONAL | settings))
    assert labels.notices(config, [5, 15]) == []
    assert labels.notices(Config(**CONDITIONAL), [490, 510]) == []


def test_a_dry_run_says_what_labels_tell(capsys):
    flags = ["--model=biggan", "--conditional", "--dataset=emoji", "--resolution=32", "--width=2"]
    flags += [
        "--num_images=20",
        "--batch_size=4",
        "--steps=1",
        "--fid_features=none",
        "--nodeterministic",
    ]
    assert main(["train", *flags, "--dry_run"]) == 0
    (line,) = (one for one in capsys.readouterr().out.splitlines() if "by the label alone" in one)
    assert line.startswith("  labels      Classes have ")
