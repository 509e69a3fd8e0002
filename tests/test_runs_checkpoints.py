import contextlib
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import make_gan, make_images, values
from tf_diffaug.data import ImageData, batches
from tf_diffaug.errors import UserError
from tf_diffaug.models import (
    BigGANDiscriminator,
    BigGANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from tf_diffaug.runs import CheckpointStore, hooks
from tf_diffaug.runs.checkpoints import find_checkpoint, newest_step
from tf_diffaug.training import GAN
from tf_diffaug.training.loop import Loop

OPTIONS = {"policy": "color,translation,cutout", "regularizers": "r1:1", "d_steps": 2}


def train(gan, steps, *, with_hooks=()):
    start = int(gan.step)
    side = gan.image_shape[0]
    images = np.repeat(np.repeat(make_images(40), side // 8, axis=1), side // 8, axis=2)
    labels = None if gan.num_classes is None else np.arange(40) % gan.num_classes
    data = ImageData(name="noise", images=images, labels=labels)
    loop = Loop(gan, lambda context: batches(data, 16, seed=0, start_step=start))
    loop.run(steps, with_hooks)


def assert_same(one, two, atol=0.0):
    assert one.keys() == two.keys()
    for group in one:
        for a, b in zip(one[group], two[group], strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=group)


def adam():
    # Its published epsilon makes a whole step of what is rounding alone, which several threads
    # do not repeat.
    return keras.optimizers.Adam(1e-3, beta_1=0.5, epsilon=0.1)


def make_stylegan2():
    regularizers = "r1(1, every=4),path_length(1, every=2)"
    networks = (
        StyleGAN2Generator(8, 3, 2, latent_dim=4, w_dim=4, mapping_layers=2, seed=0),
        StyleGAN2Discriminator(8, 3, 2, seed=0),
    )
    gan = GAN(*networks, loss="non_saturating", regularizers=regularizers, policy="color")
    gan.compile(adam(), adam())
    return gan


def make_biggan():
    networks = (
        BigGANGenerator(32, 3, 1, latent_dim=4, num_classes=3, seed=0),
        BigGANDiscriminator(32, 3, 1, num_classes=3, seed=0),
    )
    gan = GAN(*networks, regularizers="orthogonal:0.01", label_frequencies=[1, 2, 3])
    gan.compile(adam(), adam())
    return gan


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: make_gan(optimizer=adam, **OPTIONS), id="small"),
        pytest.param(make_stylegan2, id="stylegan2", marks=pytest.mark.slow),
        pytest.param(make_biggan, id="biggan", marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_ends_where_one_left_alone_does(tmp_path, make):
    whole = make()
    train(whole, 6)
    first = make()
    train(first, 4, with_hooks=[hooks.Checkpoints(CheckpointStore(first, tmp_path), 2)])
    second = make()
    assert CheckpointStore(second, tmp_path).restore() == 4
    assert_same(values(first), values(second))
    train(second, 6)
    # To the bit only where ops are made deterministic, as train.py does: test_train_resume.py.
    assert_same(values(whole), values(second), atol=1e-5)


def test_every_variable_of_a_run_is_in_it(tmp_path):
    gan = make_gan(**OPTIONS)
    saved = CheckpointStore(gan, tmp_path).save()
    names = [name for name, _ in tf.train.list_variables(saved)]
    for group, variables in gan.state().items():
        assert sum(name.startswith(f"{group}/") for name in names) == len(variables)
    # Groups are flat lists: a weight that Keras tracks and the lists lack would be lost.
    for group in ("generator", "discriminator", "ema_generator"):
        assert len(gan.state()[group]) == len(getattr(gan, group).weights)


def test_the_newest_and_the_best_are_kept(tmp_path):
    gan = make_gan()
    store = CheckpointStore(gan, tmp_path, keep=2)
    kept = []
    for step, fid in enumerate((30.0, 10.0, 20.0)):
        gan.step.assign(step)
        kept.append(store.save_if_best(fid))
        store.save()
    assert kept == [True, True, False]
    assert sorted(path.stem for path in tmp_path.glob("*.index")) == ["step-1", "step-2"]
    assert [path.stem for path in (tmp_path / "best").glob("*.index")] == ["step-1"]
    assert store.best_value == 10
    again = CheckpointStore(make_gan(), tmp_path)
    assert again.restore() == 2
    assert again.best_value == 10
    assert again.best == store.best


def test_the_best_may_be_the_highest(tmp_path):
    gan = make_gan()
    store = CheckpointStore(gan, tmp_path, better="higher")
    kept = []
    for step, precision in enumerate((0.0, 0.5, 0.5, float("nan"), 0.25, 0.75)):
        gan.step.assign(step)
        kept.append(store.save_if_best(precision))
    store.save()
    assert kept == [True, True, False, False, False, True]
    again = CheckpointStore(make_gan(), tmp_path, better="higher")
    assert again.restore() == 5
    assert again.best_value == 0.75
    assert not again.save_if_best(0.7)
    with pytest.raises(ValueError, match=r"Choose from lower, higher. Received: better='none'"):
        CheckpointStore(gan, tmp_path, better="none")


def test_a_checkpoint_from_when_the_fid_alone_chose_is_taken_up(tmp_path):
    gan = make_gan()
    best = tf.Variable(7.5, trainable=False, dtype=tf.float64, name="best_fid")
    tf.train.CheckpointManager(
        tf.train.Checkpoint(**gan.state(), best_fid=[best]),
        str(tmp_path),
        max_to_keep=3,
        checkpoint_name="step",
    ).save(checkpoint_number=4)
    store = CheckpointStore(make_gan(), tmp_path)
    assert store.restore() == 0
    assert store.best_value == 7.5
    assert not store.save_if_best(8.0)
    assert store.save_if_best(7.0)


def test_the_state_file_names_the_last(tmp_path):
    CheckpointStore(make_gan(), tmp_path).save()
    assert pathlib.Path(tf.train.latest_checkpoint(str(tmp_path))).name == "step-0"
    assert CheckpointStore(make_gan(), tmp_path / "nothing").restore() is None


def test_another_network_is_refused(tmp_path):
    CheckpointStore(make_gan(), tmp_path).save()
    with pytest.raises(OSError, match="can't be restored"):
        CheckpointStore(make_gan(ema=None), tmp_path).restore()


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_broken_checkpoint_is_named(tmp_path, part):
    saved = CheckpointStore(make_gan(), tmp_path).save()
    file = pathlib.Path(f"{saved}.{part}")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(OSError, match="step-0 can't be restored"):
        CheckpointStore(make_gan(), tmp_path).restore()


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        ("index", lambda content: content[:100]),
        ("data-00000-of-00001", lambda content: content[: len(content) // 2]),
        # One bit of a weight.
        ("data-00000-of-00001", lambda c: c[:5000] + bytes([c[5000] ^ 16]) + c[5001:]),
    ],
    ids=["index cut short", "data cut short", "a bit"],
)
def test_the_one_before_a_damaged_checkpoint_is_taken(tmp_path, part, damage):
    gan = make_gan()
    store = CheckpointStore(gan, tmp_path)
    store.save()
    before = values(gan)
    train(gan, 2)
    file = pathlib.Path(f"{store.save()}.{part}")
    file.write_bytes(damage(file.read_bytes()))
    store = CheckpointStore(gan, tmp_path)
    assert store.restore() == 0
    assert_same(values(gan), before)
    (line,) = store.damaged
    assert "step-2 can't be restored" in line
    assert file.exists()


def test_a_failed_write_is_one_error_and_leaves_the_last(tmp_path, monkeypatch):
    gan = make_gan()
    store = CheckpointStore(gan, tmp_path)
    store.save()

    def full(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(
            None, None, "{{function_node __wrapped__X}} No space left on device [Op:Save]\nmore"
        )

    (tmp_path / "step-1_temp").mkdir()
    gan.step.assign(1)
    monkeypatch.setattr(tf.train.CheckpointManager, "save", full)
    with pytest.raises(OSError, match=r"written to .*: No space left on device$"):
        store.save()
    monkeypatch.undo()
    assert not (tmp_path / "step-1_temp").exists()
    assert CheckpointStore(make_gan(), tmp_path).restore() == 0


def test_an_unwritable_folder_is_one_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        CheckpointStore(make_gan(), tmp_path / "file").save()


def test_keep_is_checked(tmp_path):
    with pytest.raises(ValueError, match="Received: keep=0"):
        CheckpointStore(make_gan(), tmp_path, keep=0)


def test_a_checkpoint_is_loaded_by_its_path_and_no_file_touched(tmp_path):
    gan = make_gan(ema=None)
    gan.fit(make_images(16), batch_size=8, epochs=1, verbose=0)
    store = CheckpointStore(gan, tmp_path)
    path = store.save()
    saved = values(gan, "generator")
    gan.fit(make_images(8), batch_size=8, epochs=1, verbose=0)
    store.save()
    (tmp_path / "step-4_temp").mkdir()
    assert CheckpointStore(gan, tmp_path).load(path) == 2
    for before, after in zip(saved["generator"], values(gan)["generator"], strict=True):
        np.testing.assert_array_equal(before, after)
    assert (tmp_path / "step-4_temp").exists()
    with pytest.raises(OSError, match="step-9 can't be restored"):
        store.load(str(tmp_path / "step-9"))


@pytest.mark.parametrize(
    "named",
    ["/tmp/other/step-1", "../other/step-1", "step-1/../../other/step-2", "notes", "step-x"],
)
def test_a_state_file_that_names_what_lies_elsewhere_is_refused(tmp_path, named):
    # The manager removes what it names as soon as there are newer ones.
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    lines = f'model_checkpoint_path: "step-1"\nall_model_checkpoint_paths: "{named}"\n'
    (folder / "checkpoint").write_text(lines)
    with pytest.raises(UserError, match=r"checkpoint names .*, which is no checkpoint of that"):
        CheckpointStore(make_gan(), folder)
    with pytest.raises(UserError, match="is no checkpoint of that folder"):
        newest_step(folder)
    with pytest.raises(UserError, match="is no checkpoint of that folder"):
        find_checkpoint(tmp_path, "newest")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{" * 99, b""])
def test_a_state_file_that_is_damaged(tmp_path, content):
    (tmp_path / "checkpoint").write_bytes(content)
    with contextlib.suppress(UserError):
        assert newest_step(tmp_path) is None
