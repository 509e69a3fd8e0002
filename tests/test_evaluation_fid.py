"""The FID's record and its protocol."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.mean_colour import MeanColour, some_images
from tf_diffaug.evaluation import (
    Statistics,
    compare,
    evaluate_fid,
    frechet_distance,
    reference_statistics,
    to_uint8,
)

PROTOCOL = {
    "split": "train",
    "ema": True,
    "batch_norm": "moving",
    "labels": "none",
    "truncation": None,
    "step": 100,
    "chosen_on_same_data": False,
}


def sample_from(images):
    def sample(index, batch_size):
        chosen = np.arange(index * batch_size, (index + 1) * batch_size) % len(images)
        return images[chosen] / np.float32(127.5) - 1

    return sample


@pytest.fixture
def reference():
    return reference_statistics(some_images(), MeanColour(), cache_dir=None)


def test_every_uint8_comes_back_from_the_networks_range():
    values = np.arange(256, dtype=np.uint8)
    for dtype in (tf.float32, tf.float64):
        scaled = tf.cast(values, dtype) / 127.5 - 1
        np.testing.assert_array_equal(to_uint8(scaled), values)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32])
def test_rounding_is_to_the_nearest_and_clips(dtype):
    levels = tf.constant([-3.0, -1.0, 0.4, 0.6, 127.5, 254.4, 300.0])
    images = tf.cast(levels[2:6] / 127.5 - 1, tf.float32)
    np.testing.assert_array_equal(to_uint8(images), [0, 1, 128, 254])
    np.testing.assert_array_equal(to_uint8(tf.constant([-9.0, 9.0], dtype)), [0, 255])


def test_samples_like_the_reals_have_no_distance(reference):
    record = evaluate_fid(
        sample_from(some_images()),
        reference,
        MeanColour(),
        num_fakes=50,
        batch_size=25,
        protocol=PROTOCOL,
    )
    assert record["fid"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("batch_size", [7, 30, 64])
def test_the_number_is_that_of_the_first_fakes_in_any_batch_size(reference, batch_size):
    fakes, extractor = some_images(40, seed=1), MeanColour()
    record = evaluate_fid(
        sample_from(fakes),
        reference,
        extractor,
        num_fakes=30,
        batch_size=batch_size,
        protocol=PROTOCOL,
    )
    expected = frechet_distance(reference, Statistics.from_features(MeanColour()(fakes[:30])))
    assert record["fid"] == pytest.approx(expected, rel=1e-6)
    assert {len(batch) for batch in extractor.batches} == {batch_size}
    assert all(batch.dtype == np.uint8 for batch in extractor.batches)


def test_the_record_says_how_it_was_measured_and_is_json(reference):
    record = evaluate_fid(
        sample_from(some_images(seed=1)),
        reference,
        MeanColour(),
        num_fakes=20,
        batch_size=20,
        protocol={
            **PROTOCOL,
            "step": np.int64(PROTOCOL["step"]),
            "ema": np.bool_(PROTOCOL["ema"]),
            "truncation": np.float32(0.5),
        },
    )
    assert json.loads(json.dumps(record)) == record
    assert record["protocol"] == {
        "features": {"name": "mean-colour", "version": "1"},
        "resize": "none",
        "channels": "3, grey repeated, alpha on white",
        "num_fakes": 20,
        "num_reals": 50,
        "reference": reference.fingerprint,
        **PROTOCOL,
        "truncation": 0.5,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "valid"}, "split must be 'train' or 'test'.*split='valid'"),
        ({"batch_norm": "median"}, "batch_norm='median'"),
        ({"labels": "some"}, "labels='some'"),
        ({"ema": "yes"}, "ema must be True or False"),
        ({"ema": 1}, "ema must be True or False. Received: ema=1"),
        ({"split": np.array(["train", "test"])}, "split must be 'train' or 'test'"),
        ({"step": 1.5}, "step must be an integer. Received: step=1.5"),
        ({"step": True}, "step must be an integer. Received: step=True"),
        ({"truncation": "x"}, "truncation must be a finite number or None. Received: .*='x'"),
        ({"truncation": float("nan")}, "Received: truncation=nan"),
        ({"truncation": 10**400}, "truncation must be a finite number"),
        ({"eam": True}, "Did you mean 'ema'"),
    ],
)
def test_a_wrong_protocol_is_named(reference, change, message):
    with pytest.raises(ValueError, match=message):
        evaluate_fid(
            sample_from(some_images()),
            reference,
            MeanColour(),
            num_fakes=9,
            batch_size=9,
            protocol={**PROTOCOL, **change},
        )


@pytest.mark.parametrize("channels", [1, 4])
def test_glyphs_and_sprites_have_an_fid(channels):
    """Images of one and of four channels, by features of three."""
    reals, other = (np.tile(some_images(seed=seed), 2)[..., :channels] for seed in range(2))
    reference = reference_statistics(reals, MeanColour(), cache_dir=None)
    near, far = (
        evaluate_fid(
            sample_from(fakes),
            reference,
            MeanColour(),
            num_fakes=50,
            batch_size=25,
            protocol=PROTOCOL,
        )["fid"]
        for fakes in (reals, other)
    )
    assert near == pytest.approx(0, abs=1e-6)
    assert far > 1


@pytest.mark.parametrize("missing", list(PROTOCOL))
def test_a_protocol_must_be_complete(reference, missing):
    protocol = {key: value for key, value in PROTOCOL.items() if key != missing}
    with pytest.raises(ValueError, match=f"lacks {missing}"):
        evaluate_fid(
            sample_from(some_images()),
            reference,
            MeanColour(),
            num_fakes=9,
            batch_size=9,
            protocol=protocol,
        )


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (lambda i, b: np.zeros((b - 1, 8, 8, 3), np.float32), r"shape=\(8, 8, 8, 3\)"),
        (lambda i, b: np.zeros((b, 8, 8, 3), np.uint8), "dtype=uint8"),
        (lambda i, b: np.full((b, 8, 8, 3), np.nan, np.float32), "not finite.*batch 0"),
    ],
)
def test_wrong_samples_are_named(reference, sample, message):
    with pytest.raises(ValueError, match=message):
        evaluate_fid(sample, reference, MeanColour(), num_fakes=9, batch_size=9, protocol=PROTOCOL)


def test_too_few_fakes_are_an_error(reference):
    with pytest.raises(ValueError, match="num_fakes=1"):
        evaluate_fid(
            sample_from(some_images()), reference, MeanColour(), num_fakes=1, protocol=PROTOCOL
        )


def test_the_reference_must_be_of_the_same_extractor(reference):
    with pytest.raises(ValueError, match="another extractor"):
        evaluate_fid(
            sample_from(some_images()), reference, MeanColour("2"), num_fakes=9, protocol=PROTOCOL
        )


def record_of(fid=3.0, **change):
    protocol = {
        "features": {"name": "inception", "version": "sha256:1"},
        "resize": "none",
        "channels": "any",
        "num_fakes": 10,
        "num_reals": 10,
        "reference": "abc",
        **PROTOCOL,
        **change,
    }
    return {"fid": fid, "protocol": protocol}


def test_records_of_one_protocol_compare_across_steps_and_weights():
    other = record_of(4.5, step=200, ema=False, batch_norm="batch")
    assert compare(record_of(), other) == 1.5


@pytest.mark.parametrize(
    "change",
    [
        {"features": {"name": "inception", "version": "sha256:2"}},
        {"features": {"name": "emoji-cnn", "version": "sha256:1"}},
        {"resize": "299"},
        {"channels": "3"},
        {"num_fakes": 50},
        {"num_reals": 50},
        {"split": "test"},
        {"reference": "def"},
    ],
)
def test_records_of_unlike_protocols_do_not_compare(change):
    with pytest.raises(ValueError, match=f"differ in {next(iter(change))} cannot be compared"):
        compare(record_of(), record_of(**change))
