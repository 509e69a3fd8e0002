"""The runner of the benchmarks, with scripts that find at once what they are told to."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as main
from benchmarks import page, plan, runner
from benchmarks.plan import BENCHMARKS, HELPERS, Benchmark
from benchmarks.records import Figure, Missing

FOLDER = Path(plan.__file__).parent
ROOT = FOLDER.parent
STUB = f"""
import argparse, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from benchmarks import records
parser = argparse.ArgumentParser()
parser.add_argument("--value", type=float, default=1.0)
parser.add_argument("--fail", action="store_true")
parser.add_argument("--torch_python")
records.add_flag(parser)
asked = parser.parse_args()
recorder = records.Recorder(asked.json)
if asked.value:
    recorder.add("a", "b", asked.value, "s")
if not asked.torch_python:
    recorder.missing("PyTorch", "not found in /home/somebody/lib/torch.py")
if asked.fail:
    sys.exit("no room in /home/somebody/files/cache")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "stub.py").write_text(STUB)
    monkeypatch.setattr(runner, "HERE", tmp_path)
    return tmp_path


def benchmark(name, *flags, **given):
    return Benchmark(name, name.title(), "stub.py", "Numbers.", flags, **given)


def test_every_module_is_run_or_a_helper():
    scripts = {benchmark.script.removesuffix(".py") for benchmark in BENCHMARKS}
    assert not scripts & {*HELPERS}
    assert sorted({*scripts, *HELPERS}) == sorted(path.stem for path in FOLDER.glob("*.py"))
    names = [benchmark.name for benchmark in BENCHMARKS]
    assert len({*names}) == len(names)


@pytest.mark.parametrize("each", BENCHMARKS, ids=lambda each: each.name)
def test_a_script_takes_the_flags_of_the_plan(each):
    """As far as their names go; the slow test runs them."""
    text = (FOLDER / each.script).read_text()
    for flag in (*each.flags, *each.quick, *each.peers):
        if flag.startswith("--"):
            assert f'"{flag.partition("=")[0]}"' in text
    assert "records.add_flag(parser)" in text


def test_what_a_script_finds(folder):
    entry = runner.run(benchmark("one", "--value=2", peers=("--torch_python",)), {})
    assert entry.figures == [Figure("a", "b", 2.0, "s")]
    assert entry.missing == [Missing("PyTorch", "not found in torch.py")]
    assert entry.error is None
    assert entry.command == "python benchmarks/stub.py --value=2"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry.date)
    assert entry.seconds >= 0


def test_peers_are_handed_to_those_that_take_them(folder):
    peers = {"--torch_python": "/opt/torch/bin/python", "--reference": "/opt/x.py"}
    entry = runner.run(benchmark("one", "--value=2", peers=("--torch_python",)), peers)
    assert entry.missing == []
    assert entry.command == "python benchmarks/stub.py --torch_python=python --value=2"
    # What is held against it does not change what ours takes.
    assert entry.settings == "--value=2"


def test_a_quick_run_has_other_flags(folder):
    one = benchmark("one", "--value=2", quick=("--value=3",))
    assert runner.run(one, {}, quick=True).figures[0].value == 3.0
    assert runner.run(one, {}).figures[0].value == 2.0


def test_a_script_that_fails_says_why(folder, capfd):
    entry = runner.run(benchmark("one", "--fail"), {})
    assert entry.error == "it ended with 1: no room in cache"
    assert entry.figures == []
    assert "/home/somebody/files/cache" in capfd.readouterr().err
    assert runner.run(benchmark("one", "--value=0"), {}).error == "it found nothing"
    gone = runner.run(dataclasses.replace(benchmark("one"), script="none.py"), {})
    assert "none.py" in gone.error


def test_all_and_again(folder, capsys):
    out = folder / "docs"
    both = [benchmark("one", "--value=2"), benchmark("other", "--value=5")]
    assert main.main([f"--out={out}"], both) == 0
    assert [entry.figures[0].value for entry in page.read(out).entries] == [2.0, 5.0]
    assert main.main([f"--out={out}", "--only", "other"], both) == 0
    one, other = page.read(out).entries
    assert one.before == []
    assert other.before == other.figures
    assert "Nothing." in (out / page.PAGE).read_text()
    assert "--out=docs" in page.read(out).command
    assert str(folder) not in (out / page.JSON).read_text()


def test_one_that_fails_is_listed_and_the_others_run(folder, capsys):
    out = folder / "docs"
    assert main.main([f"--out={out}"], [benchmark("one", "--fail"), benchmark("other")]) == 1
    assert "failed: one" in capsys.readouterr().out
    one, other = page.read(out).entries
    assert one.error
    assert other.figures
    assert "Failed: it ended with 1" in (out / page.PAGE).read_text()


def test_one_that_was_left_out_is_listed(folder):
    out = folder / "docs"
    main.main([f"--out={out}", "--only=one"], [benchmark("one"), benchmark("other")])
    assert "## Other" in (out / page.PAGE).read_text()
    assert page.read(out).entry("other").missing == [Missing("all of it", "it was left out")]


def test_nothing_is_kept_of_a_quick_run(folder, capsys, monkeypatch):
    monkeypatch.setattr(main, "ROOT", folder)
    assert main.main(["--quick"], [benchmark("one")]) == 0
    assert "# Benchmarks" in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == ["stub.py"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--only=on"], "Did you mean 'one'"),
        (["--reference=none.py"], "--reference=none.py"),
        (["--torch_python=none"], "--torch_python=none"),
        ([f"--torch_reference={__file__}"], "--torch_python"),
    ],
)
def test_mistakes_are_one_line_and_nothing_runs(folder, capsys, monkeypatch, flags, said):
    monkeypatch.setattr(runner, "run", None)
    monkeypatch.setattr(main, "this_python_with_torch", lambda: None)
    assert main.main([*flags, f"--out={folder}"], [benchmark("one")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["stub.py"]


def test_a_file_that_is_no_record_is_left_as_it_is(folder, capsys):
    (folder / page.JSON).write_text("{}")
    assert main.main([f"--out={folder}"], [benchmark("one")]) == 2
    assert "restore or remove" in capsys.readouterr().err
    assert (folder / page.JSON).read_text() == "{}"


def test_a_part_is_not_mixed_with_figures_of_another_machine(folder, capsys, monkeypatch):
    plan = [benchmark("one")]
    main.main([f"--out={folder}"], plan)
    monkeypatch.setattr(runner, "machine", lambda: {"processor": "Z80"})
    capsys.readouterr()
    assert main.main([f"--out={folder}", "--only=one"], plan) == 2
    assert "another machine" in capsys.readouterr().err
    assert main.main([f"--out={folder}"], plan) == 0
    assert page.read(folder).before["processor"] != "Z80"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cannot open /home/me/a.txt", "cannot open a.txt"),
        ("--reference=/tmp/x/ref.py --sizes 2x2", "--reference=ref.py --sizes 2x2"),
        ("'/usr/lib/x.so': not there", "'x.so': not there"),
        ("~/data/x", "x"),
        ("benchmarks/augment.py", "benchmarks/augment.py"),
        ("1 / 2 of images/s", "1 / 2 of images/s"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_folders_are_left_out(text, found):
    assert runner.without_folders(text) == found


def test_the_machine():
    found = runner.machine()
    assert found["processor"]
    assert int(found["cores"]) == runner.cores() >= 1
    assert "GiB" in found["memory"]
    versions = runner.versions(None)
    assert {"Python", "TensorFlow", "Keras", "NumPy"} <= {*versions}
    assert "PyTorch" not in versions


def test_other_work_is_what_is_not_our_childrens(tmp_path, monkeypatch):
    statistics = tmp_path / "stat"
    statistics.write_text("cpu  100 0 100 5000 7 0 0 0 0 0\ncpu0 1 1\n")
    tick, clock, ours = runner.os.sysconf("SC_CLK_TCK"), iter([0.0, 10.0]), iter([1.0, 6.0])
    monkeypatch.setattr(runner.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(runner, "_children_seconds", lambda: next(ours))
    monkeypatch.setattr(runner.os, "cpu_count", lambda: 2)
    share = runner.other_work(statistics)
    # 12 seconds more of user and steal, of which our children took 5; waiting is none.
    more = 100 + 8 * tick
    statistics.write_text(f"cpu  {more} 0 100 9000 99 0 0 {4 * tick} 0 0\n")
    assert share() == 7 / 10 / 2


def test_a_system_that_does_not_count(tmp_path):
    assert runner.other_work(tmp_path / "none")() is None


@pytest.mark.slow
@pytest.mark.parametrize("name", [each.name for each in BENCHMARKS])
def test_each_benchmark_works(name):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
