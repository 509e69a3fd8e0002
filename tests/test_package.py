"""The package as its users import it."""

import doctest
import importlib
import importlib.util
import os
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import tf_diffaug

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", tf_diffaug.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(tf_diffaug, name).__doc__


def test_the_list_of_names_and_their_homes_agree():
    assert sorted(tf_diffaug.__all__) == sorted(tf_diffaug._HOME)
    assert set(tf_diffaug.__all__) <= set(dir(tf_diffaug))
    with pytest.raises(AttributeError, match="Translate"):
        tf_diffaug.Translate  # noqa: B018


def test_the_page_of_public_names_is_complete():
    # `python tools/make_api_page.py` writes it anew.
    spec = importlib.util.spec_from_file_location("page", ROOT / "tools" / "make_api_page.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert page.PAGE.read_text(encoding="utf-8") == page.api_page()


MODULES = [m.name for m in pkgutil.walk_packages(tf_diffaug.__path__, "tf_diffaug.")]


@pytest.mark.parametrize("module", ["tf_diffaug", *MODULES])
def test_examples_in_docstrings_hold(module):
    result = doctest.testmod(
        importlib.import_module(module), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert result.failed == 0


def test_naming_a_wrong_flag_does_not_wait_for_tensorflow():
    code = "import sys, tf_diffaug, tf_diffaug.naming; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_another_backend_is_refused():
    code = (
        "import keras; keras.backend.backend = lambda: 'jax'\n"
        "try:\n    from tf_diffaug import DiffAugment\n"
        "except ImportError as error:\n    assert 'KERAS_BACKEND=tensorflow' in str(error)\n"
        "else:\n    raise SystemExit('it was imported')"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=ROOT)
