"""Strategies and checks that the fuzz tests share."""

import contextlib
import copy
import json
import os
import pathlib
import sys

import hypothesis
from hypothesis import strategies as st

from tf_diffaug.commands import main

MARKUP = ("</script><script>alert(1)</script>", "{{7*7}}", '"><img src=x onerror=alert(1)>', "[/b]")
TEXTS = (
    "",
    "none",
    "auto",
    "\x1b[2J",
    "\x00",
    "\ud800",
    "../../x",
    "/etc/passwd",
    "a" * 5000,
    *MARKUP,
)
NUMBERS = (0, -1, 1, 2**31, 2**63, 10**400, 1e308, -0.0, 1.5, float("nan"), float("inf"))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
)
VALUES = st.one_of(
    LEAVES,
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5) | st.sampled_from(TEXTS), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    st.builds(lambda: json.loads("[" * 500 + "]" * 500)),  # a new one each time: parts are changed
)


def examples(count):
    """So many in every run of the tests, and thirty times as many in the profile `fuzz`."""
    profile = os.environ.get("HYPOTHESIS_PROFILE", "tests")
    return hypothesis.settings(
        max_examples=30 * count if profile == "fuzz" else count,
        suppress_health_check=[
            hypothesis.HealthCheck.too_slow,
            hypothesis.HealthCheck.function_scoped_fixture,
        ],
    )


def places(value, path=()):
    """The paths of all parts of a JSON value."""
    found = [path]
    if isinstance(value, (dict, list)) and len(path) < 6:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            found += places(part, (*path, key))
    return found


@st.composite
def changed(draw, value, *, most=2):
    """The value with a part or two replaced, removed or added."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, most))):
        *path, last = ("top", *draw(st.sampled_from(places(value))))
        holder = {"top": value}
        part = holder
        for key in path:
            part = part[key]
        what = draw(st.sampled_from(("replace", "replace", "remove", "add")))
        if what == "add" and isinstance(part[last], dict):
            part[last][draw(st.text(max_size=8) | st.sampled_from(TEXTS))] = draw(VALUES)
        elif what == "remove" and path:
            del part[last]
        else:
            part[last] = draw(VALUES)
        value = holder.get("top")
    return value


def damaged(content):
    """Bytes like these: cut short, with some changed, doubled or out of place."""
    size = len(content)
    cut = st.integers(0, size).map(lambda end: content[:end])
    flipped = st.lists(
        st.tuples(st.integers(0, max(0, size - 1)), st.integers(0, 255)), min_size=1, max_size=8
    ).map(lambda changes: _with(content, changes))
    moved = st.tuples(*[st.integers(0, size)] * 3).map(
        lambda at: content[: at[0]] + content[min(at[1:]) : max(at[1:])] + content[at[0] :]
    )
    return st.one_of(cut, flipped, moved)


def _with(content, changes):
    made = bytearray(content)
    for place, value in changes:
        if made:
            made[place] = value
    return bytes(made)


def snapshot(folder):
    """All that lies in a folder, and what it holds."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(pathlib.Path(folder).rglob("*"))
    }


@contextlib.contextmanager
def watched(home):
    """Within it, nothing starts a process, and no file is opened for writing outside `home`."""
    broken = []
    _watches.append((os.path.realpath(home), broken))
    try:
        yield
    finally:
        _watches.pop()
    assert not broken, broken


def _audit(event, arguments):
    if not _watches or _watches[-1] is None:
        return
    home, broken = _watches[-1]
    if event in _PROCESSES:
        broken.append((event, arguments))
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path, mode, flags = arguments
        writes = any(c in (mode or "") for c in "wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR)
        path = os.path.realpath(os.fsdecode(path))
        if writes and not path.startswith((home, *_ELSEWHERE)):
            broken.append((event, path))


_PROCESSES = ("os.system", "subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork")
# What libraries keep for themselves.
_ELSEWHERE = ("/dev/", "/proc/", sys.prefix)
_watches = []
sys.addaudithook(_audit)


def command(capsys, home, *arguments):
    """Runs a command; it does what was asked, or complains in one line. Returns its exit code."""
    with watched(home):
        code = main(list(arguments))
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    if code:
        assert code in (2, 3)
        complaint = said.err.removesuffix("\n").split("\n")[-1]
        assert complaint.startswith("tf-diffaug")
        assert "\x1b" not in complaint
        assert len(said.err.splitlines()) <= 1 or code == 3
    return code
