"""A run that starts from trained weights: what is taken over, what is kept, what is refused."""

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug._keras import layer_variables, raw_variables
from tf_diffaug.commands import main
from tf_diffaug.errors import UserError
from tf_diffaug.runs import Config, load_run, parts, settle
from tf_diffaug.runs.export import export_run
from tf_diffaug.runs.init_from import initialize

from .runs import save_run

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SMALL = ["--width=4", "--batch_size=4", "--latent_dim=16", "--fid_features=none"]
SMALL += ["--strategy=one_device", "--nodeterministic", "--noreport"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with pictures and a run with weights at random."""
    folder = tmp_path_factory.mktemp("saved")
    save_run(folder)
    return folder


def new_gan(source, strategy=None, **settings):
    """The GAN of a run from other seeds, and what was loaded into it."""
    small = {"width": 4, "batch_size": 4, "latent_dim": 16, "seed": 3, "fid_features": "none"}
    config = settle(Config(**{**small, "init_from": str(source), **settings}))
    facts = {"channels": config.config.channels, "label_counts": [4, 4, 4]}
    gan = parts.make_gan(config, strategy or tf.distribute.get_strategy(), facts)
    return gan, initialize(gan, config.config)


def numpy(network):
    return {name: [v.numpy() for v in vs] for name, vs in layer_variables(network).items()}


def assert_equal(one, two):
    assert one.keys() == two.keys()
    for name, values in one.items():
        for a, b in zip(values, two[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


NETWORKS = ("generator", "ema_generator", "discriminator")


def test_all_three_networks_are_loaded_to_the_bit_and_nothing_else(saved):
    gan, initial = new_gan(saved / "run")
    source = load_run(saved / "run").gan
    for name in NETWORKS:
        assert_equal(numpy(getattr(gan, name)), numpy(getattr(source, name)))
    assert not np.array_equal(gan.generator.dense.kernel, gan.ema_generator.dense.kernel)
    assert int(gan.step) == 0
    assert not any(np.any(v.numpy()) for v in raw_variables(gan.g_optimizer)[2:])
    assert (initial.fresh, initial.unused, initial.step) == ((), (), 0)
    assert initial.layers == 9 + 8
    assert new_gan(saved / "run", seed=4)[1].fingerprint == initial.fingerprint


def test_an_export_will_do_too(saved):
    run = load_run(saved / "run")
    folder = export_run(
        run, saved / "export", formats=("keras",), discriminator=True, overwrite=True
    ).folder
    gan, initial = new_gan(folder)
    expected = numpy(run.gan.ema_generator)
    assert_equal(numpy(gan.generator), expected)
    assert_equal(numpy(gan.ema_generator), expected)
    assert_equal(numpy(gan.discriminator), numpy(run.gan.discriminator))
    assert initial.step is None
    (folder / "discriminator.keras").unlink()
    with pytest.raises(UserError, match=r"has no discriminator\.keras"):
        new_gan(folder)
    fresh = [name for name in new_gan(folder, init_partly=True)[1].fresh if name[0] == "D"]
    assert len(fresh) == 8
    (folder / "generator.keras").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"--init_from=.*generator.keras cannot be read"):
        new_gan(folder, init_partly=True)


def test_two_replicas_start_alike(saved, two_replicas):
    gan, _ = new_gan(saved / "run", two_replicas, freeze_d=1)
    source = load_run(saved / "run").gan
    for name in NETWORKS:
        assert_equal(numpy(getattr(gan, name)), numpy(getattr(source, name)))
    for variable in raw_variables(gan.discriminator):
        copies = [copy.numpy() for copy in getattr(variable, "values", (variable,))]
        np.testing.assert_array_equal(copies[0], copies[-1])


def test_layers_that_do_not_fit_are_named_and_may_be_left_fresh(saved):
    with pytest.raises(
        UserError, match=r"G's dense, G's norm1, D's to_logit \(resolution 32 there, 64 here"
    ):
        new_gan(saved / "run", resolution=64)
    gan, initial = new_gan(saved / "run", resolution=64, init_partly=True)
    assert initial.fresh == ("G's dense", "G's norm1", "D's to_logit")
    source = load_run(saved / "run").gan
    np.testing.assert_array_equal(gan.generator.up1.kernel, source.generator.up1.kernel)
    assert "G's dense" in initial.sentence()


def test_conditional_and_unconditional_are_told_apart(tmp_path):
    run = save_run(tmp_path, model="biggan", conditional=True)
    with pytest.raises(UserError, match="of 3 classes, and this run without classes"):
        new_gan(run, model="biggan")
    gan, initial = new_gan(run, model="biggan", init_partly=True)
    assert "D's embedding" in initial.unused
    source = load_run(run).gan
    loaded = numpy(gan.discriminator)
    assert_equal(loaded, {k: v for k, v in numpy(source.discriminator).items() if k in loaded})


WRONG = {
    "--model=biggan": "its networks are sndcgan, and this run's biggan: give --model=sndcgan",
    "--width=8": "no layer of G fits (width 4 there, 8 here)",
    "--init_checkpoint=7": "has checkpoints of steps 0. Received: --init_checkpoint=7",
    "--init_checkpoint=best": "has no checkpoint in best/ yet",
    "--init_checkpoint=last": "--init_checkpoint is newest, best or a step",
    "--freeze_d=8": "has 7 blocks that may be frozen. Received: --freeze_d=8",
}


@pytest.mark.parametrize("flag", WRONG)
def test_a_mistake_is_one_line_and_nothing_is_written(flag, saved, tmp_path, capsys):
    run_dir = tmp_path / "new"
    flags = [f"--init_from={saved}/run", *SMALL, flag, f"--run_dir={run_dir}", "--steps=1"]
    assert main(["train", f"--dataset=folder:{saved}/pictures", *flags]) == 2
    error = capsys.readouterr().err.strip()
    assert WRONG[flag] in error
    assert "--init_from=" in error or flag in error
    assert "\n" not in error
    assert not run_dir.exists()


def test_a_folder_that_holds_no_weights_is_named(saved, tmp_path):
    with pytest.raises(UserError, match=r"--init_from=.*pictures: that is no folder of a run"):
        new_gan(saved / "pictures")
    shutil.copytree(saved / "run", tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").glob("*.data*"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"--init_from=.*can't be restored"):
        new_gan(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(UserError, match=r"--init_from=.*has no checkpoint"):
        new_gan(tmp_path / "run")


@pytest.mark.parametrize("flag", ["freeze_d", "init_partly"])
def test_what_is_about_trained_weights_needs_them(flag):
    with pytest.raises(UserError, match=f"--{flag} is about trained weights"):
        Config(**{flag: 1 if flag == "freeze_d" else True})


def test_fresh_layers_are_not_frozen(saved):
    with pytest.raises(UserError, match="D's conv1 would be fresh"):
        new_gan(saved / "run", channels=1, init_partly=True, freeze_d=1)


@pytest.mark.one_stack
@pytest.mark.parametrize(
    "model",
    [
        "sndcgan",
        pytest.param("biggan(attention=16)", marks=pytest.mark.slow),
        pytest.param("stylegan2(w_dim=16)", marks=pytest.mark.slow),
    ],
)
def test_frozen_blocks_stay_the_same_to_the_bit(model, tmp_path):
    run = save_run(tmp_path, model=model)
    gan, _ = new_gan(run, model=model, freeze_d=2, d_steps=2)
    before, trained = numpy(gan.discriminator), numpy(gan.generator)
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    gan.fit(images, batch_size=8, epochs=2, verbose=0)
    after = numpy(gan.discriminator)
    kept = {layer.name for block in gan.discriminator.blocks()[:2] for layer in block}
    assert kept
    for name in before:
        same = all(np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True))
        assert same == (name.split("/")[0] in kept), name
    changed = numpy(gan.generator)
    assert any(not np.array_equal(trained[n][0], changed[n][0]) for n in trained)
    # A frozen D is written and read back like any other.
    gan.discriminator.save(tmp_path / "d.keras")
    assert_equal(numpy(keras.models.load_model(tmp_path / "d.keras")), after)


def config_of(run_dir):
    return json.loads((run_dir / "config.json").read_text())


@pytest.mark.one_stack
def test_the_same_command_resumes_and_ignores_the_source(saved, tmp_path, capsys):
    shutil.copytree(saved / "run", tmp_path / "source")
    flags = [f"--dataset=folder:{saved}/pictures", *SMALL, f"--init_from={tmp_path}/source"]
    flags += ["--freeze_d=1", "--policy=color", "--checkpoint_every=2"]
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert main(["train", *flags, f"--run_dir={whole}", "--steps=4"]) == 0
    assert "Starting from the weights of" in capsys.readouterr().out
    assert main(["train", *flags, f"--run_dir={parted}", "--steps=2"]) == 0
    initial = config_of(parted)["initial_weights"]
    assert initial["fingerprint"] == config_of(whole)["initial_weights"]["fingerprint"]
    shutil.rmtree(tmp_path / "source")
    flags.append(f"--init_from={tmp_path}/./source")  # the same, spelt otherwise
    assert main(["train", *flags, f"--run_dir={parted}", "--steps=4"]) == 0
    assert "Going on from step 2." in capsys.readouterr().out
    assert config_of(parted)["initial_weights"] == initial
    one, two = (load_run(folder).gan.state() for folder in (whole, parted))
    for name, variables in one.items():
        for a, b in zip(variables, two[name], strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)
    assert main(["train", f"--run_dir={parted}", "--init_from=other", "--steps=4"]) == 2
    assert "holds a run with other settings: --init_from=other" in capsys.readouterr().err


def test_a_run_that_never_saved_starts_from_the_same_weights_only(saved, tmp_path, capsys):
    shutil.copytree(saved / "run", tmp_path / "source")
    flags = ["train", f"--dataset=folder:{saved}/pictures", *SMALL, "--steps=1"]
    flags += [f"--init_from={tmp_path}/source", f"--run_dir={tmp_path}/new"]
    assert main(flags) == 0
    shutil.rmtree(tmp_path / "new" / "checkpoints")
    for name in ("metrics.jsonl", "tensorboard", "samples"):
        path = pathlib.Path(tmp_path / "new" / name)
        _ = shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    saved_config = config_of(tmp_path / "new")
    saved_config["initial_weights"]["fingerprint"] = "0" * 16
    (tmp_path / "new" / "config.json").write_text(json.dumps(saved_config))
    assert main(flags) == 2
    assert "began with other weights" in capsys.readouterr().err


def test_the_recipe_in_words_says_where_it_starts(saved, capsys):
    flags = [f"--init_from={saved}/run", "--freeze_d=2", *SMALL, "--explain"]
    assert main(["train", f"--dataset=folder:{saved}/pictures", *flags]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the weights of" in said
    assert "D's first 2 blocks are kept as they were (FreezeD)" in said


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_named(saved, tmp_path, part):
    run = shutil.copytree(saved / "run", tmp_path / "run")
    path = run / f"checkpoints/step-0.{part}"
    content = path.read_bytes()
    path.write_bytes(content[:20] + b"damaged" + content[27 : len(content) // 2])
    with pytest.raises(UserError, match=r"--init_from=.*step-0 can't be restored"):
        new_gan(run)
