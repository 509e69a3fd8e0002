"""Extractors by name and by path, with stand-ins for the downloaded network."""

import pathlib
import warnings

import numpy as np
import pytest
import tensorflow as tf

from tests.feature_models import make_model, save, some_images
from tf_diffaug.evaluation import emoji_cnn, inception, load_extractor, resolve_features, saved
from tf_diffaug.evaluation.extractor import content_version
from tf_diffaug.evaluation.registry import EXTRACTORS, choices, extractors_table, register_extractor


class StandIn(tf.Module):
    """A network of the signature of TF-GAN's Inception module, small enough to make here."""

    def __init__(self, seed=0, output="pool_3"):
        super().__init__()
        draw = np.random.default_rng(seed).normal(size=(8, 8, 3, 16)) / 10
        self.kernel = tf.Variable(draw.astype(np.float32))
        self.output = output

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def __call__(self, images):
        hidden = tf.nn.relu(tf.nn.conv2d(images, self.kernel, 8, "SAME"))
        pooled = tf.reduce_mean(hidden, axis=(1, 2), keepdims=True)
        return {self.output: pooled, "logits": tf.squeeze(pooled, (1, 2))[:, :5]}


@pytest.fixture(scope="module")
def module_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("inception")
    tf.saved_model.save(StandIn(), str(path))
    return path


@pytest.fixture
def no_download(monkeypatch):
    def fail():
        raise inception._unavailable("inception", OSError("no route\nto host"))

    monkeypatch.setattr(inception, "_download", fail)


def test_inception_gives_the_modules_features_of_scaled_resized_images(module_dir):
    extractor = load_extractor(f"inception:{module_dir}")
    images = some_images()
    features = extractor(images)
    assert features.dtype == tf.float32
    assert features.shape == (6, 16)
    assert extractor.name == "inception"
    assert extractor.num_features == 16
    # TensorFlow 1's grid: source index = target index * scale, without half a pixel.
    source = np.arange(299) * (32 / 299)
    low = source.astype(int)
    high, share = np.minimum(low + 1, 31), (source - low).astype(np.float32)
    scaled = images.astype(np.float32) / 127.5 - 1
    rows = scaled[:, low] * (1 - share)[:, None, None] + scaled[:, high] * share[:, None, None]
    resized = rows[:, :, low] * (1 - share)[:, None] + rows[:, :, high] * share[:, None]
    expected = StandIn()(resized)["pool_3"][:, 0, 0]
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_inception_is_loaded_once(module_dir, monkeypatch):
    loads = []
    load = tf.saved_model.load
    monkeypatch.setattr(tf.saved_model, "load", lambda path: loads.append(path) or load(path))
    extractor = load_extractor(f"inception:{module_dir}")
    for count in (4, 4, 3):
        extractor(some_images(count))
    assert len(loads) == 1


def test_our_path_and_tfgans_agree(module_dir):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tfgan = pytest.importorskip("tensorflow_gan", exc_type=(ImportError, AttributeError))
    assert tfgan.eval.INCEPTION_TFHUB == inception.URL
    assert tfgan.eval.INCEPTION_FINAL_POOL == inception.OUTPUT
    assert tfgan.eval.INCEPTION_DEFAULT_IMAGE_SIZE == inception.IMAGE_SIZE
    images = some_images(12)
    extractor = load_extractor(f"inception:{module_dir}")
    theirs = tfgan.eval.classifier_fn_from_tfhub(str(module_dir), inception.OUTPUT, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(inception.preprocess(tf.constant(images)))
    np.testing.assert_allclose(extractor(images), expected, rtol=1e-5, atol=1e-6)
    own = inception.classifier(tf.saved_model.load(str(module_dir)))
    np.testing.assert_allclose(
        own(inception.preprocess(tf.constant(images))).features, expected, rtol=1e-5, atol=1e-6
    )


def test_inception_without_tfgan(module_dir, monkeypatch):
    expected = load_extractor(f"inception:{module_dir}")(some_images())
    monkeypatch.setattr(inception, "tfgan_classifier", lambda module: None)
    np.testing.assert_allclose(load_extractor(f"inception:{module_dir}")(some_images()), expected)


def test_one_line_says_what_to_choose_without_the_network(no_download):
    with pytest.raises(
        ValueError, match=r"no route to host.*emoji-cnn, inception, .*none, as in `features=none`"
    ) as info:
        load_extractor("inception")
    assert "\n" not in str(info.value)
    assert str(info.value).endswith("Received: features='inception'.")


def test_a_directory_without_a_module_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no saved_model\.pb.*features='inception:"):
        load_extractor(f"inception:{tmp_path}")


def test_a_module_without_the_output_is_refused(tmp_path):
    tf.saved_model.save(StandIn(output="pool_2"), str(tmp_path))
    with pytest.raises(ValueError, match=r"no output 'pool_3' but logits, pool_2"):
        load_extractor(f"inception:{tmp_path}")


@pytest.mark.parametrize("name", ["inceptoin", "Inception", "inception_"])
def test_unknown_names_have_a_nearest_one(name):
    with pytest.raises(ValueError, match=f"Did you mean 'inception'.*features='{name}'"):
        load_extractor(name)


@pytest.mark.parametrize(
    ("name", "dataset", "expected"),
    [
        ("auto", "emoji", "emoji-cnn"),
        ("auto", "emoji_faces", "emoji-cnn"),
        ("auto", "cifar10", "inception"),
        ("auto", "folder:emoji", "inception"),
        ("none", "emoji", None),
        ("inception", "emoji", "inception"),
        ("inception:/not/looked/at", "emoji", "inception:/not/looked/at"),
    ],
)
def test_features_are_resolved_by_dataset(name, dataset, expected):
    assert resolve_features(name, dataset) == expected


def test_resolving_refuses_what_cannot_be_loaded(tmp_path):
    assert resolve_features(str(tmp_path), "emoji") == str(tmp_path)
    with pytest.raises(ValueError, match="Did you mean 'emoji-cnn'"):
        resolve_features("emoji_cnn", "emoji")
    with pytest.raises(ValueError, match="Received: features=''"):
        resolve_features("", "emoji")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), "dtype=float32"),
        (np.zeros((8, 8, 3), np.uint8), r"shape=\(8, 8, 3\)"),
        (np.zeros((2, 8, 8, 2), np.uint8), "3 channels, and makes 3 of 1 or 4.*channels=2"),
    ],
)
def test_images_that_do_not_fit_are_named(module_dir, images, message):
    with pytest.raises(ValueError, match=message):
        load_extractor(f"inception:{module_dir}")(images)


def test_grey_images_are_repeated_into_three_channels(module_dir):
    extractor = load_extractor(f"inception:{module_dir}")
    grey = some_images(channels=1)
    np.testing.assert_array_equal(extractor(grey), extractor(np.repeat(grey, 3, axis=-1)))


def test_alpha_is_composited_on_white_and_this_is_recorded(module_dir):
    extractor = load_extractor(f"inception:{module_dir}")
    assert extractor.record()["channels"] == "3, grey repeated, alpha on white"
    images = some_images(channels=4)
    images[0, ..., 3], images[1, ..., 3] = 0, 255
    shares = images[..., 3:] / 255
    shown = np.floor(images[..., :3] * shares + 255 * (1 - shares) + 0.5).astype(np.uint8)
    assert (shown[0] == 255).all()
    np.testing.assert_array_equal(shown[1], images[1, ..., :3])
    np.testing.assert_array_equal(extractor(images), extractor(shown))


@pytest.mark.parametrize("channels", [1, 4])
def test_a_model_of_other_channels_takes_them_as_they_are(tmp_path, channels):
    save(make_model(channels=channels), tmp_path / "m.keras")
    extractor = load_extractor(tmp_path / "m.keras")
    assert extractor.record()["channels"] == str(channels)
    assert extractor(some_images(channels=channels)).shape == (6, 5)
    with pytest.raises(ValueError, match=f"takes images of {channels} channels. Rec.*channels=3"):
        extractor(some_images())


def test_one_directory_read_in_two_ways_has_two_versions(tmp_path):
    """The same weights on another grid: the one's statistics must not pass for the other's."""
    module = StandIn()
    signature = module.__call__.get_concrete_function()
    tf.saved_model.save(module, str(tmp_path), signatures=signature)
    two = load_extractor(tmp_path), load_extractor(f"inception:{tmp_path}")
    assert two[0].version != two[1].version


@pytest.mark.parametrize("module", [emoji_cnn, inception, saved])
def test_versions_follow_the_code(module, module_dir, tmp_path, monkeypatch):
    if module is saved:
        save(make_model(), tmp_path / "m.keras")
    name = {
        emoji_cnn: "emoji-cnn",
        inception: f"inception:{module_dir}",
        saved: tmp_path / "m.keras",
    }[module]
    before = load_extractor(name).version
    monkeypatch.setattr(module, "CODE", f"{module.CODE}1")
    assert load_extractor(name).version != before


def test_versions_follow_content_and_not_names(tmp_path):
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    a, b, c = (content_version(tmp_path / name, code="x 1") for name in "abc")
    assert a == b != c
    (tmp_path / "a" / "file").rename(tmp_path / "a" / "other")
    assert content_version(tmp_path / "a", code="x 1") != b


FACTS = {"summary": "a number", "use": "tests"}


def test_a_registration_is_all_that_a_new_extractor_takes(monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "means", None)  # so that it is gone afterwards
    del EXTRACTORS["means"]

    @register_extractor("means", argument="SIZE", takes=str.isdecimal, **FACTS)
    def load(size):
        return f"means of {size}"

    assert load_extractor("means") == "means of None"
    assert load_extractor("means:8") == "means of 8"
    assert resolve_features("means:8", "emoji") == "means:8"
    assert ", means, means:SIZE, the path" in choices()
    assert "| `means`, `means:SIZE` | a number | tests |" in extractors_table()
    with pytest.raises(ValueError, match=r"Did you mean 'means'\? Choose from .*means:SIZE"):
        load_extractor("means:large")


def test_the_documentation_has_the_table():
    page = pathlib.Path(__file__).parents[1] / "docs" / "evaluation.md"
    table = f"<!-- extractors -->\n{extractors_table()}<!-- end of extractors -->"
    assert table in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["emoji-cnn", "", "a:b", "a/b", "a.keras", "auto", "none"])
def test_bad_names_of_extractors_are_refused(name):
    with pytest.raises(ValueError, match=f"name='{name}'"):
        register_extractor(name, **FACTS)
