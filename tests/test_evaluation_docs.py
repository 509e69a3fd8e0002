"""Every command and every example of the page on evaluation runs."""

import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "evaluation.md").read_text()
BLOCK = re.compile(r"(<!-- not run: [^\n]*-->\n)?```(python|sh)\n(.*?)```", re.DOTALL)
BLOCKS = [match.groups() for match in BLOCK.finditer(PAGE)]
# The same commands with less to do.
SHORTER = {
    "benchmarks/fid.py": ["--num_images=300", "--num_features=32", "--repeats=1"],
    "tools/make_emoji_cnn.py": ["--steps=2", "--batch_size=8"],
}


def blocks(kind):
    return [code for skipped, language, code in BLOCKS if language == kind and not skipped]


def test_only_what_needs_a_download_is_left_out():
    skipped = [(reason, code) for reason, _, code in BLOCKS if reason]
    assert len(skipped) == 1
    assert "inception" in skipped[0][1]


def test_the_python_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    namespace = {"__name__": "docs"}
    with warnings.catch_warnings():
        # Keras 3 with NumPy 2 warns of its own conversion when it saves a model.
        warnings.filterwarnings("ignore", message="__array__ implementation doesn't accept a copy")
        for code in blocks("python"):
            exec(compile(code, "docs/evaluation.md", "exec"), namespace)
    printed = capsys.readouterr().out
    assert "emoji-cnn" in printed
    assert "FIDs that differ in num_fakes cannot be compared." in printed


@pytest.mark.slow
@pytest.mark.parametrize("command", [line for code in blocks("sh") for line in code.splitlines()])
def test_the_commands_run(command, tmp_path):
    program, script, *arguments = shlex.split(command)
    assert program == "python"
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *arguments, *SHORTER[script]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
