"""The package as pip installs it, in an environment without the rest of the repository."""

import pathlib
import subprocess
import sys
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TRAIN = """
import keras
from tf_diffaug import GAN
from tf_diffaug.data import load
from tf_diffaug.models import SNDCGANDiscriminator, SNDCGANGenerator

images = load("emoji_faces", resolution=32).images
gan = GAN(SNDCGANGenerator(32, width=4), SNDCGANDiscriminator(32, width=4), policy="color,cutout")
gan.compile(keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5))
history = gan.fit(images, batch_size=16, epochs=1, verbose=0)
assert len(history.history["d_loss"]) == 1
"""
WHOLE = """
import pathlib, sys
import tf_diffaug
from tf_diffaug.evaluation import load_extractor

home = pathlib.Path(tf_diffaug.__file__).parent
assert home.is_relative_to(sys.argv[1]), home
assert (home / "py.typed").exists()
assert load_extractor("emoji-cnn")(images[:2]).shape == (2, 64)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A new environment with the wheel in it; what it depends on is that of the tests."""
    folder = tmp_path_factory.mktemp("pip")
    # Of a copy: setuptools leaves a build folder beside what it builds.
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder / "source")], check=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*pip, *build, str(folder / "source")], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    before = set(site.iterdir())
    install = ["--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *install], check=True)
    return folder / "env", {path.name for path in set(site.iterdir()) - before}


def run(command, folder):
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": "", "XDG_CACHE_HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(installed):
    _, names = installed
    assert {name for name in names if not name.endswith(".dist-info")} == {"tf_diffaug"}


@pytest.mark.slow
def test_a_pip_user_trains_in_ten_lines(installed, tmp_path):
    environment, _ = installed
    assert len(TRAIN.strip().splitlines()) <= 11
    run([environment / "bin" / "python", "-c", TRAIN + WHOLE, str(environment)], tmp_path)


@pytest.mark.slow
def test_a_pip_user_trains_by_a_command(installed, tmp_path):
    environment, _ = installed
    command = [environment / "bin" / "tf-diffaug", "train", "--policy=color,translation,cutout"]
    small = ["--width=4", "--num_fakes=100"]  # the rest is as in README
    said = run([*command, "--steps=20", *small], tmp_path)
    assert "Done: 20 steps" in said
    # Its template, style and script are in the wheel.
    assert "  report      report.html" in said
    module = [environment / "bin" / "python", "-m", "tf_diffaug"]
    assert "train" in run([*module, "--help"], tmp_path)
