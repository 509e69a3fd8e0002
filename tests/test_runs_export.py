"""Exports of runs of every network: what they hold, and that they make the run's own pixels."""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug import runs
from tf_diffaug.errors import Failure, UserError
from tf_diffaug.runs import export as exports
from tf_diffaug.runs import parts
from tf_diffaug.runs.checkpoints import CheckpointStore
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.export import formats, served
from tf_diffaug.runs.generate import ImageSource
from tf_diffaug.runs.recipe import settle
from tf_diffaug.runs.saved import make_saved

# NumPy 2 about Keras 3's own way of saving.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
ROOT = pathlib.Path(__file__).resolve().parents[1]
STYLEGAN2 = "stylegan2(mapping_layers=2, w_dim=8)"
NETWORKS = {
    "sndcgan": {"model": "sndcgan"},
    "biggan": {"model": "biggan", "truncation": 0.8},
    "biggan_classes": {"model": "biggan", "conditional": True, "eval_batch_norm": "batch"},
    "stylegan2": {"model": STYLEGAN2, "truncation": 0.7},
    "stylegan2_classes": {"model": STYLEGAN2, "conditional": True},
}


def write_run(folder, **settings):
    """A run as training leaves it, but for training."""
    config = Config(
        resolution=32, width=4, latent_dim=8, batch_size=4, deterministic=False, **settings
    )
    recipe = settle(config)
    facts = {
        "name": "some",
        "num_images": 100,
        "num_test": 0,
        "fingerprint": "0",
        "channels": 3,
        "label_counts": [60, 40, 0],
        "class_names": ["cat", "<b>dog</b>", "_x_"],
        "flip": False,
    }
    gan = parts.make_gan(recipe, parts.set_up(recipe.config), facts)
    for index, variable in enumerate(gan.ema_generator.trainable_variables):
        # Far from the initial ones, which are near grey.
        noise = tf.random.stateless_normal(variable.shape, (0, index), stddev=0.2)
        variable.assign(variable + noise)
    RunDirectory(folder).write_config(make_saved(recipe.config, data=facts, replicas=1))
    gan.step.assign(7)
    store = CheckpointStore(gan, folder / "checkpoints")
    store.save()
    protocol = {"features": {"name": "emoji-cnn"}, "num_fakes": 20, "num_reals": 100}
    protocol |= {"split": "train", "ema": True, "batch_norm": "moving", "step": 7}
    directory = RunDirectory(folder)
    directory.append({"step": 6, "kind": "eval", "fid": 99.0, "protocol": protocol})
    directory.append({"step": 7, "kind": "eval", "fid": 12.25, "protocol": protocol})
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs by network, each made once."""
    folders = {}

    def make(network):
        if network not in folders:
            folder = tmp_path_factory.mktemp(network) / "run"
            folders[network] = write_run(folder, **NETWORKS[network])
        return runs.load_run(folders[network])

    return make


@pytest.fixture(scope="module")
def exported(made, tmp_path_factory):
    """Exports by network in all formats, each made once, and the images of the run."""
    found = {}

    def export(network):
        if network not in found:
            run = made(network)
            out = tmp_path_factory.mktemp("out") / "model"
            names = [name for name in exports.FORMATS if installed(name)]
            source = ImageSource(run, seed=0)
            count = source.chunk
            inputs = source.latents(range(count)), source.labels(range(count))
            images = source.images(70)
            result = exports.export_run(run, out, formats=names, discriminator=True)
            found[network] = result, inputs, images
        return found[network]

    return export


def installed(name):
    return all(map(importlib.util.find_spec, exports.FORMATS[name].packages))


@pytest.mark.parametrize(
    "network",
    [
        "sndcgan",
        pytest.param("biggan_classes", marks=pytest.mark.one_stack),
        pytest.param("stylegan2_classes", marks=pytest.mark.one_stack),
        pytest.param("biggan", marks=pytest.mark.slow),
        pytest.param("stylegan2", marks=pytest.mark.slow),
    ],
)
def test_every_format_makes_the_runs_own_pixels(exported, network):
    result, (latents, labels), images = exported(network)
    assert images.std() > 5
    assert sorted(path.name for path in result.folder.iterdir()) == sorted(
        ["README.md", "discriminator.keras", "samples.png"]
        + [exports.FORMATS[name].file for name in result.differences]
    )
    assert {name for name, found in result.differences.items() if found > 1} == set()
    assert result.differences["keras"] == result.differences["saved_model"] == 0
    # Not by the exporter's own comparison.
    loaded = tf.saved_model.load(str(result.folder / "saved_model" / "1"))
    given = {"latents": tf.constant(latents)}
    given |= {} if labels is None else {"labels": tf.constant(labels)}
    from_latents = loaded.signatures["serving_default"](**given)["images"]
    np.testing.assert_array_equal(from_latents, images[: len(latents)])
    assert from_latents.dtype == tf.uint8
    from_seed = loaded.signatures["from_seed"]
    seed = tf.constant(0, tf.int64)
    for count in (1, 70):
        by_seed = from_seed(seed=seed, count=tf.constant(count))
        np.testing.assert_array_equal(by_seed["images"], images[:count])
    if labels is not None:
        np.testing.assert_array_equal(by_seed["labels"][: len(labels)], labels)
    other = from_seed(seed=seed + 1, count=tf.constant(1))["images"]
    assert np.abs(other.numpy().astype(int) - images[:1]).max() > 5


_SERVE = """
import sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1] + "/saved_model/1")
made = model.signatures["from_seed"](seed=tf.constant(0, tf.int64), count=tf.constant(70))
assert not [name for name in sys.modules if name.startswith("tf_diffaug")]
np.save(sys.argv[2], made["images"].numpy())
"""


def in_process(code, *arguments, cwd):
    """Runs code in a process of its own that finds this package only if it is to."""
    subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=cwd, check=True, timeout=300
    )


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_an_empty_process_makes_the_same_images(exported, network, tmp_path):
    result, _, images = exported(network)
    in_process(_SERVE, result.folder, tmp_path / "images.npy", cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), images)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_the_cards_python_runs(exported, network, monkeypatch):
    result, _, images = exported(network)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    card = (result.folder / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(blocks) == len(result.differences)
    for block in blocks:
        check = f"\nassert tuple(images.shape) == {(16, *images.shape[1:])}, images.shape"
        in_process(block + check, cwd=result.folder)


def test_the_discriminator_comes_along(exported, made):
    import keras

    result, _, images = exported("biggan_classes")
    loaded = keras.models.load_model(result.folder / "discriminator.keras")
    floats = images[:4] / np.float32(127.5) - 1
    pair = tf.constant(floats), tf.constant([0, 1, 2, 0])
    own = made("biggan_classes").gan.discriminator
    np.testing.assert_allclose(loaded(pair), own(pair, training=False), rtol=1e-5, atol=1e-6)


def test_a_card_says_what_it_is_and_how_good(exported):
    cards = pytest.importorskip("huggingface_hub")
    result, *_ = exported("biggan_classes")
    text = (result.folder / "README.md").read_text()
    card = cards.ModelCard.load(result.folder / "README.md")
    (number,) = card.data.eval_results
    assert (number.metric_type, number.metric_value) == ("fid", 12.25)
    assert number.metric_name == (
        "FID (emoji-cnn features, 20 fakes, 100 train images, averaged weights, "
        "batch norm by moving averages)"
    )
    assert card.data.pipeline_tag == "unconditional-image-generation"
    assert "99" not in text.split("## Numbers")[1].split("##")[0]  # of another step
    assert "averaged weights at step 7" in text
    assert "class-conditional generator" in text
    assert "statistics of 100 batches instead" in text
    assert "Their licence was not stated" in text
    assert "<b>" not in text
    assert "1 &lt;b>dog&lt;/b>, 2 \\_x\\_" in text


def test_a_card_tells_licences_evaluations_and_no_place_of_this_machine(tmp_path):
    folder = write_run(tmp_path / "run", dataset=f"folder:{tmp_path}/my_cats", model="sndcgan")
    evaluation = {
        "kind": "evaluation",
        "step": 7,
        "protocol": {"num_fakes": 5000},
        "values": {"kid": {"mean": 0.0123, "std": 0.0004}, "precision": {"mean": 0.5}},
        "readings": {"auth_pct": "no sign of copying"},
    }
    (folder / "evaluations.jsonl").write_text(json.dumps(evaluation) + "\n")
    result = exports.export_run(
        runs.load_run(folder), formats=["keras"], license="mit", data_license="CC BY 4.0"
    )
    assert result.folder == folder / "export" / "7"
    text = (result.folder / "README.md").read_text()
    assert "license: mit" in text
    assert "Their licence: CC BY 4.0." in text
    assert "| KID | 0.0123 ± 0.0004 | 5,000 fakes |" in text
    assert "- auth\\_pct: no sign of copying" in text
    assert "my\\_cats" in text
    assert str(tmp_path) not in text
    (folder / "evaluations.jsonl").write_text("{\n")
    with pytest.raises(ValueError, match=r"evaluations.jsonl is damaged: line 1"):
        exports.export_run(runs.load_run(folder), formats=["keras"], overwrite=True)


def test_nothing_is_left_of_an_export_that_fails(made, tmp_path, monkeypatch):
    run = made("sndcgan")
    wrong = formats.FORMATS["keras"]._replace(
        read=lambda source, path: lambda latents, labels: np.zeros((64, 32, 32, 3), np.uint8)
    )
    monkeypatch.setitem(formats.FORMATS, "keras", wrong)
    with pytest.raises(Failure, match=r"generator.keras, read back, makes other images"):
        exports.export_run(run, tmp_path / "out", formats=["keras"])
    assert list(tmp_path.iterdir()) == []


def test_what_exists_stays(made, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    for overwrite in (False, True):
        with pytest.raises(FileExistsError):
            exports.export_run(
                made("sndcgan"), tmp_path / "out", formats=["keras"], overwrite=overwrite
            )
        assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["kears"], r"Unknown format 'kears'. Did you mean 'keras'\? .* Received: formats=kears"),
        ([], r"Give one format at least"),
    ],
)
def test_formats_are_checked(names, message):
    with pytest.raises(ValueError, match=message):
        exports.check_export(names)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    lacking = formats.FORMATS["onnx"]._replace(packages=("no_such_package",))
    monkeypatch.setitem(formats.FORMATS, "onnx", lacking)
    message = r"onnx needs no_such_package, .*: pip install 'tf-diffaug\[onnx\]'"
    with pytest.raises(UserError, match=message):
        exports.check_export(["onnx"])


def test_an_op_that_tflite_lacks_is_named(made, tmp_path, monkeypatch):
    """As of a layer whose transposed convolution goes channel by channel."""
    monkeypatch.setattr(served, "dense_upsampling", served.contextlib.nullcontext)
    with pytest.raises(UserError, match=r"has no DepthwiseConv2dNativeBackpropInput, which"):
        exports.export_run(made("stylegan2_classes"), tmp_path / "out", formats=["tflite"])
    assert list(tmp_path.iterdir()) == []
