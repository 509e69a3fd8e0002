"""Image number i of a seed is one and the same image, whatever is asked along with it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.runs import CLASSES, save_run
from tf_diffaug import random
from tf_diffaug.runs import load_run
from tf_diffaug.runs.generate import ImageSource

MODELS = {
    "sndcgan": {},
    "biggan": {"model": "biggan(shared_dim=8)", "conditional": True},
    "stylegan2": {"model": "stylegan2(mapping_layers=2, w_dim=16)", "conditional": True},
}


@pytest.fixture(scope="module", params=MODELS)
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    # A batch's statistics would make images depend on each other.
    return load_run(save_run(folder, eval_batch_norm="batch", **MODELS[request.param]))


def test_an_image_is_the_same_at_any_count_and_place(run):
    all_of_them = ImageSource(run).images(70)
    assert all_of_them.dtype == np.uint8
    assert len(np.unique(all_of_them.reshape(70, -1), axis=0)) == 70
    for count, start in ((1, 0), (5, 0), (3, 63), (1, 69)):
        images = ImageSource(run, seed=run.seed).images(count, start=start)
        np.testing.assert_array_equal(images, all_of_them[start : start + count])
    assert np.any(ImageSource(run, seed=1).images(1) != all_of_them[0])


def test_an_image_is_nearly_the_same_on_its_own(run, monkeypatch):
    many = ImageSource(run)
    alone = ImageSource(run)
    monkeypatch.setattr(alone, "chunk", 1)
    difference = many.images(6).astype(int) - alone.images(6)
    assert np.abs(difference).max() <= 1  # another order of sums, and nothing else


def test_latents_and_labels_are_those_of_a_sample_by_a_seed_of_its_own(run):
    source = ImageSource(run, seed=4)
    sampler = run.steady_sampler()
    for number in (0, 9):
        seed = random.derive(4, "image", step=number)
        np.testing.assert_array_equal(source.latents([number]), sampler.latents(1, seed))
        if run.gan.num_classes is not None:
            labels = run.gan.networks.labels(1, random.fold_in(seed, 1))
            np.testing.assert_array_equal(source.labels([number]), labels)


def test_classes_come_in_turn_by_number_or_name(run):
    if run.gan.num_classes is None:
        with pytest.raises(ValueError, match=r"unconditional.*Received: classes=0"):
            ImageSource(run, classes=[0])
        return
    source = ImageSource(run, classes=["emu", 0])
    assert source.classes == [2, 0]
    np.testing.assert_array_equal(source.labels(range(5)), [2, 0, 2, 0, 2])
    np.testing.assert_array_equal(source.latents(range(2)), ImageSource(run).latents(range(2)))
    assert [source.class_name(label) for label in range(3)] == list(CLASSES)
    with pytest.raises(ValueError, match=r"Did you mean 'emu'\?.*0 to 2.*cat, dog, emu.*emuu"):
        ImageSource(run, classes=["emuu"])
    with pytest.raises(ValueError, match="Unknown class '3'"):
        ImageSource(run, classes=[1, 3])


def test_a_class_given_by_its_weights_is_the_class(run):
    if run.gan.num_classes is None:
        return
    source = ImageSource(run)
    latents, labels = source.latents(range(4)), np.array([0, 1, 2, 1], np.int32)
    whole = source.render(latents, labels).astype(int)
    weights = np.eye(3, dtype=np.float32)[labels]
    assert np.abs(source.render(latents, weights) - whole).max() <= 1
    half = source.render(latents, (weights + weights[::-1]) / 2).astype(int)
    assert np.abs(half - whole)[[0, 3]].max() > 1


def test_truncation_is_the_runs_own_unless_given(run):
    source = ImageSource(run, truncation=0.5)
    assert ImageSource(run).truncation is None
    if source.sampler.has_styles:
        mean = ImageSource(run, truncation=0.0, classes=[0]).images(3)
        np.testing.assert_array_equal(mean[0], mean[2])
    else:
        assert np.abs(source.latents(range(50))).max() <= 0.5


def test_progress_is_told(run):
    told = []
    ImageSource(run, progress=lambda *counts: told.append(counts)).images(70, start=60)
    assert told[0] == (4, 70)
    assert told[-1] == (70, 70)


@pytest.mark.parametrize(("count", "start"), [(0, 0), (1, -1)])
def test_counts_that_are_none_are_refused(run, count, start):
    with pytest.raises(ValueError, match=f"count={count}, start={start}"):
        ImageSource(run).images(count, start=start)
    with pytest.raises(ValueError, match="seed=-1"):
        ImageSource(run, seed=-1)


def test_images_that_are_not_finite_are_refused(tmp_path):
    run = load_run(save_run(tmp_path))
    variable = run.gan.ema_generator.trainable_variables[-1]
    variable.assign(tf.fill(variable.shape, np.nan))
    with pytest.raises(ValueError, match="not finite"):
        ImageSource(run).images(1)
