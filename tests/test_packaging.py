"""The package as pip installs it, without the rest of the repository."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
USE = """
import tf_diffaug
from tf_diffaug import DiffAugment, GAN
from tf_diffaug.data import load
from tf_diffaug.evaluation import load_extractor
import tensorflow as tf, pathlib, sys
home = pathlib.Path(tf_diffaug.__file__).parent
assert home.is_relative_to(sys.argv[1]), home
assert (home / "py.typed").exists()
assert DiffAugment("color,translation,cutout")(tf.zeros([2, 8, 8, 3])).shape == (2, 8, 8, 3)
assert load_extractor("emoji-cnn")(load("emoji_faces").images[:2]).shape == (2, 64)
"""


@pytest.mark.slow
def test_pip_installs_the_package_with_its_data_and_nothing_else(tmp_path):
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    source = tmp_path / "source"
    # Of a copy: setuptools leaves a build folder beside what it builds.
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    installed = {path.name for path in target.iterdir() if not path.name.endswith(".dist-info")}
    assert installed == {"tf_diffaug"}
    run = [sys.executable, "-c", USE, str(target)]
    done = subprocess.run(
        run,
        cwd=tmp_path,
        env={"PYTHONPATH": str(target), "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
