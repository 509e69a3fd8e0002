"""Keras knows the package's classes once both are imported."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
SAVE = """
import sys, keras, tensorflow as tf
from tf_diffaug import augment, layers, models

images = [
    keras.Input((8, 8, 3)),
    augment.DiffAugment("color,translation"),
    augment.Cutout(),
    layers.SpectralNormalization(keras.layers.Conv2D(8, 3)),
    layers.BatchNorm(),
]
keras.Sequential(images).save(sys.argv[1] + "/layers.keras")
generator = models.SNDCGANGenerator(8, width=1, latent_dim=2)
generator(tf.zeros([1, 2]))
generator.save(sys.argv[1] + "/generator.keras")
"""
NAMES = """
print(*sorted(name for name in keras.saving.get_custom_objects() if "tf_diffaug" in name))
"""
LOAD = """
import keras, sys
for name in ("layers", "generator"):
    keras.models.load_model(sys.argv[1] + "/" + name + ".keras")
assert not any("tf_diffaug" in str(type(finder)) for finder in sys.meta_path)
"""


def printed(code, *arguments):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(
        run, check=False, env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    return folder, printed(SAVE + NAMES, folder)


# In each another import is the outermost one when Keras' own ends.
@pytest.mark.parametrize(
    "first",
    [
        "import tf_diffaug",
        pytest.param("import keras, tf_diffaug", marks=pytest.mark.slow),
        pytest.param("import tf_diffaug, tensorflow", marks=pytest.mark.slow),
        pytest.param("from tf_diffaug.layers import BatchNorm", marks=pytest.mark.slow),
    ],
)
def test_after_importing_the_package_keras_loads_its_classes(saved, first):
    folder, names = saved
    assert {"tf_diffaug>DiffAugment", "tf_diffaug_models>BigGANGenerator"} < set(names)
    assert printed(first + LOAD + NAMES, folder) == names


def test_importing_the_package_imports_neither_keras_nor_tensorflow():
    code = "import sys, tf_diffaug; print({'keras', 'tensorflow'} & set(sys.modules))"
    assert printed(code) == ["set()"]


def test_a_module_keeps_the_loader_it_would_have():
    code = "import tf_diffaug.naming as m; print(type(m.__loader__) is type(m.__spec__.loader)"
    assert printed(f"{code}, type(m.__loader__).__name__)") == ["True", "SourceFileLoader"]
