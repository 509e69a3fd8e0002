import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tf_diffaug.training
from tests.networks import make_conditional_gan, make_gan
from tf_diffaug import random
from tf_diffaug.training.draws import Draws

FOLDER = Path(tf_diffaug.training.__file__).parent
ABOVE = {"gan.py", "__init__.py", "loop.py"}


def test_nothing_below_the_gan_names_it():
    below = [
        path for path in FOLDER.rglob("*.py") if path.parent != FOLDER or path.name not in ABOVE
    ]
    assert len(below) > 25
    for path in below:
        imports = re.findall(r"^\s*(?:from|import) .*$", path.read_text(encoding="utf-8"), re.M)
        assert not [line for line in imports if "training.gan" in line or " GAN" in line], path
        # Prose may say GAN; code and annotations may not.
        assert not re.search(r"[:|>]\s*\"?GAN\b", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("make", [make_gan, make_conditional_gan])
def test_the_record_says_what_the_gan_says(make):
    gan = make(policy="color", d_steps=2, seed=5)
    for name in ("generator", "discriminator", "augmenter"):
        assert getattr(gan.networks, name) is getattr(gan, name)
    for name in ("latent_dim", "image_shape", "num_classes", "label_frequencies"):
        assert getattr(gan.networks, name) == getattr(gan, name)
    assert (gan.networks.d_steps, gan.networks.seed) == (2, 5)
    labels = gan.networks.labels(8, random.as_seed(1))
    assert (labels is None) == (gan.num_classes is None)


def test_two_regularizers_streams_of_one_name_differ():
    draws = Draws(0, tf.constant(3, tf.int64), 64, None)
    drawn = {
        (owner, name): draws.uniform((), owner, name).numpy()
        for owner in ("wgan_gp", "mine")
        for name in ("share", "noise")
    }
    assert len({tuple(numbers) for numbers in drawn.values()}) == 4
    np.testing.assert_array_equal(draws.uniform((), "mine", "share"), drawn["mine", "share"])
