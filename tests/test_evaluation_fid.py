"""The FID's record, its protocol and the cache of the reals' statistics."""

import json
import logging

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.evaluation import (
    Extractor,
    Statistics,
    compare,
    default_cache_dir,
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


class MeanColour(Extractor):
    """Mean and spread of each channel; counts what it sees."""

    def __init__(self, version="1", resize="none", channels=3):
        super().__init__("mean-colour", version, resize=resize, channels=channels)
        self.batches = []

    def __call__(self, images):
        self.batches.append(np.asarray(images))
        return super().__call__(images)

    def _features(self, images):
        images = tf.cast(images, tf.float32)
        moments = [tf.reduce_mean(images, (1, 2)), tf.math.reduce_std(images, (1, 2))]
        return tf.concat(moments, axis=-1)


def some_images(count=50, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 200, (count, 1, 1, 3))
    return (base + rng.integers(0, 56, (count, 8, 8, 3))).astype(np.uint8)


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
        protocol={**PROTOCOL, "step": np.int64(100)},
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
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "valid"}, "split must be 'train' or 'test'.*split='valid'"),
        ({"batch_norm": "median"}, "batch_norm='median'"),
        ({"labels": "some"}, "labels='some'"),
        ({"ema": "yes"}, "ema must be True or False"),
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


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_cache_is_read_instead_of_the_extractor(tmp_path):
    first = reference_statistics(some_images(), MeanColour(), cache_dir=tmp_path / "new")
    extractor = MeanColour()
    second = reference_statistics(some_images(), extractor, cache_dir=tmp_path / "new")
    assert extractor.batches == []
    assert second.count == first.count == 50
    np.testing.assert_array_equal(second.mean, first.mean)
    np.testing.assert_allclose(second.cov, first.cov, rtol=1e-14)
    assert (second.fingerprint, second.extractor) == (first.fingerprint, "1")
    assert len(files_in(tmp_path / "new")) == 1


@pytest.mark.parametrize("changed", ["pixel", "shape", "version", "resize", "channels"])
def test_other_content_has_another_cache_file(tmp_path, changed):
    reference_statistics(some_images(), MeanColour(), cache_dir=tmp_path)
    images, extractor = some_images(), MeanColour()
    if changed == "pixel":
        images[3, 2, 1, 0] ^= 1
    elif changed == "shape":
        images = images.reshape(50, 4, 16, 3)
    else:
        extractor = MeanColour(**{changed: None if changed == "channels" else "2"})
    reference_statistics(images, extractor, cache_dir=tmp_path)
    assert len(extractor.batches) > 0
    assert len(files_in(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "flipped", "nan", "shape", "count"])
def test_a_damaged_cache_is_computed_anew_and_said(tmp_path, caplog, damage):
    good = reference_statistics(some_images(), MeanColour(), cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[content.index(good.mean.tobytes())] ^= 1
    if damage in ("nan", "shape", "count"):
        moments = {"count": 50, "mean": good.mean, "cov": good.cov}
        moments.update(
            {
                "nan": {"mean": good.mean * np.nan},
                "shape": {"mean": good.mean[:2]},
                "count": {"count": 0},
            }[damage]
        )
        np.savez(path, **moments)
    else:
        damaged = {"empty": b"", "cut": content[:-30], "garbage": b"x" * 99, "flipped": content}
        path.write_bytes(damaged[damage])
    with caplog.at_level(logging.WARNING):
        again = reference_statistics(some_images(), MeanColour(), cache_dir=tmp_path)
    assert "damaged" in caplog.text
    np.testing.assert_array_equal(again.mean, good.mean)
    assert files_in(tmp_path) == [path.name]
    fresh = MeanColour()
    reference_statistics(some_images(), fresh, cache_dir=tmp_path)
    assert fresh.batches == []


def test_a_cache_that_cannot_be_written_is_done_without_and_said(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        statistics = reference_statistics(
            some_images(), MeanColour(), cache_dir=tmp_path / "file" / "below"
        )
    assert statistics.count == 50
    assert "could not be cached" in caplog.text


def test_the_default_cache_is_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "tf_diffaug"
    reference_statistics(some_images(), MeanColour())
    assert len(files_in(tmp_path / "tf_diffaug")) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_dir() == tmp_path / "home" / ".cache" / "tf_diffaug"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (some_images()[:1], r"shape=\(1, 8, 8, 3\)"),
        (some_images().astype(np.float32), "dtype=float32"),
        (some_images()[0], r"shape=\(8, 8, 3\)"),
    ],
)
def test_wrong_reals_are_named(images, message):
    with pytest.raises(ValueError, match=message):
        reference_statistics(images, MeanColour(), cache_dir=None)


def test_the_batch_size_does_not_change_the_statistics():
    one = reference_statistics(some_images(), MeanColour(), cache_dir=None, batch_size=7)
    other = reference_statistics(some_images(), MeanColour(), cache_dir=None, batch_size=50)
    np.testing.assert_allclose(one.cov, other.cov, rtol=1e-5)
