"""What is known of the reals is made once, and kept by what it was made of."""

import json
import logging

import numpy as np
import pytest

from tests.mean_colour import MeanColour, some_images
from tests.packs import rewrite
from tf_diffaug.data import ImageData, load
from tf_diffaug.data.origins import of_arrays
from tf_diffaug.data.packing import write_packed
from tf_diffaug.evaluation import default_cache_dir, reference_statistics
from tf_diffaug.evaluation.reference import reference_features


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


@pytest.mark.parametrize("make", [reference_statistics, reference_features])
def test_what_a_packed_data_set_says_it_is_and_is_not_spoils_no_cache(tmp_path, caplog, make):
    ours, other = (pack_arrays(tmp_path / str(seed), some_images(seed=seed)) for seed in (0, 1))
    index = json.loads((ours / "index.json").read_text())
    lie = {"fingerprint": index["fingerprint"], "digests": index["digests"]}
    rewrite(other, {**json.loads((other / "index.json").read_text()), **lie})
    make(load(f"packed:{other}").images, MeanColour(), cache_dir=tmp_path / "cache")
    assert "other images than its index says: what is made of them is not cached" in caplog.text
    assert not (tmp_path / "cache").exists()
    caplog.clear()
    make(load(f"packed:{ours}").images, MeanColour(), cache_dir=tmp_path / "cache")
    assert len(files_in(tmp_path / "cache")) == 1
    assert not caplog.text


def pack_arrays(out, images):
    return write_packed(of_arrays(ImageData("noise", images)), out)


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
