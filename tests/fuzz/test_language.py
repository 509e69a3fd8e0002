"""What a user types: policies, regularizers, losses, models, metrics and flags of all commands."""

import contextlib
import importlib

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.fuzz.hostile import TEXTS, command, examples, snapshot, watched
from tf_diffaug.augment.policy import parse_policy
from tf_diffaug.augment.registry import registered_ops
from tf_diffaug.commands import COMMANDS
from tf_diffaug.errors import UserError, raised_here
from tf_diffaug.evaluation.metrics import METRICS, parse_metrics
from tf_diffaug.language import Call, literal, parse_calls
from tf_diffaug.runs import networks
from tf_diffaug.training import REGULARIZERS, get_loss, parse_regularizers

VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(
        ("1e999", "-1", "0", "None", "True", "black", "[1]", "()", "{}", "'a'", "b'x'", "1j", "nan")
    ),
    st.sampled_from(
        ("__import__('os').system('x')", "[" * 99 + "]" * 99, "9" * 5000, "-" * 5000 + "1")
    ),
    st.text(max_size=6),
)


def entries(names):
    """Texts of the language about these names, sound and not."""
    name = st.sampled_from((*names, "nothing"))
    keyword = st.tuples(st.sampled_from(("every", "on", "fill", "width", "x", "a-b")), VALUES)
    arguments = st.lists(st.one_of(VALUES, keyword.map("=".join)), max_size=3).map(", ".join)
    entry = st.one_of(
        name,
        st.tuples(name, VALUES).map(":".join),
        st.tuples(name, arguments).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.text(alphabet="ab:(),='\"[]{}0.-_ \n\\", max_size=12),
    )
    return st.lists(entry, max_size=3).map(",".join)


PARSERS = {
    "policy": (parse_policy, tuple(registered_ops())),
    "regularizers": (parse_regularizers, tuple(REGULARIZERS)),
    "loss": (get_loss, ("hinge", "non_saturating", "wasserstein")),
    "model": (networks.spell_model, tuple(networks.NETWORKS)),
    "metrics": (parse_metrics, tuple(METRICS)),
}


@contextlib.contextmanager
def only_refusals():
    """Lets a ValueError of this package pass; one from inside a library is no line for a user."""
    try:
        yield
    except ValueError as error:
        if not raised_here(error):
            raise


@pytest.mark.parametrize("what", PARSERS)
@examples(60)
@hypothesis.given(draws=st.data())
def test_any_text_is_understood_or_a_value_error(tmp_path, what, draws):
    parse, names = PARSERS[what]
    text = draws.draw(entries(names))
    found = None
    with watched(tmp_path), only_refusals():
        found = parse(text)
    if found is not None and what in ("policy", "model"):
        assert str(parse(str(found))) == str(found)


@examples(100)
@hypothesis.given(value=st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.none()))
def test_a_value_is_read_back_as_it_was_written(value):
    hypothesis.assume(value not in (float("inf"), float("-inf")))
    (call,) = parse_calls(f"name(x={literal(value)})", what="policy")
    assert call == Call("name", (), {"x": value})


def _flags(name):
    return importlib.import_module(f"tf_diffaug.commands.{name}").FLAGS


TYPED = st.one_of(
    st.text(max_size=8),
    st.sampled_from(TEXTS),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ("1e400", "9" * 400, "9" * 5000, "true", "runs/x", "folder:", "color:2", "all", "1_0")
    ),
)


@st.composite
def lines(draw, name):
    """A command line."""
    known = [flag.name for flag in _flags(name)]
    arguments = []
    for _ in range(draw(st.integers(1, 3))):
        flag = draw(st.sampled_from((*known, "nothing", "", "flagfile", "undefok")))
        kind = draw(st.integers(0, 4))
        typed = (
            f"--{flag}={draw(TYPED)}"
            if kind
            else draw(st.sampled_from((f"--{flag}", f"--no{flag}")))
        )
        arguments.append(typed)
    rest = draw(st.lists(TYPED, max_size=2))
    return [*arguments, *rest]


@pytest.mark.parametrize("name", COMMANDS)
@examples(50)
@hypothesis.given(draws=st.data())
def test_any_command_line_is_one_line_or_understood(name, draws, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    typed = draws.draw(lines(name))
    module = importlib.import_module(f"tf_diffaug.commands.{name}")
    with watched(tmp_path), contextlib.suppress(UserError):
        module.read(typed)
    capsys.readouterr()


@examples(60)
@hypothesis.given(draws=st.data())
def test_any_recipe_is_explained_or_refused(draws, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    typed = [one for one in draws.draw(lines("train")) if one.startswith("--")]
    typed += draws.draw(
        st.sampled_from(sorted(PARSERS)).flatmap(
            lambda what: entries(PARSERS[what][1]).map(lambda text: [f"--{what}={text}"])
        )
    )
    typed = [
        one
        for one in typed
        if not one.removeprefix("--").startswith(("preview", "dry_run", "dry-run"))
    ]
    command(capsys, tmp_path, "train", *typed, "--explain", "--nodeterministic")
    assert snapshot(tmp_path) == before


@examples(30)
@hypothesis.given(draws=st.data())
def test_commands_on_runs_that_are_not_there(draws, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = draws.draw(st.sampled_from([name for name in COMMANDS if name != "train"]))
    typed = draws.draw(lines(name))
    hypothesis.assume(not any(one.startswith(("folder:", "--help")) for one in typed))
    before = snapshot(tmp_path)
    command(capsys, tmp_path, name, *typed, "nowhere")
    assert snapshot(tmp_path) == before
