"""Runs all benchmarks and makes their page: `make bench`.

    python -m benchmarks
    python -m benchmarks --quick
    python -m benchmarks --only train_step regularizers

Each runs in a process of its own, one after the other. `docs/benchmarks.json` has the figures, and
`docs/benchmarks.md`, made of it, shows them beside those of the record before. The exit code is 1
if a benchmark fails; the page says which and why. With `--only`, the others stay as they are in the
record, which must be of the same machine and versions.

What is held against ours is not part of this repository: without the flags for it, and where TF-GAN
is not installed, the page says what was not measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import page, runner
from benchmarks.plan import BENCHMARKS, Benchmark

ROOT = Path(__file__).resolve().parents[1]


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="see that all work, and print a page that says no more"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--out", type=Path, help="where the page goes; by default docs/")
    parser.add_argument("--reference", type=Path, help="the authors' TensorFlow DiffAugment")
    parser.add_argument("--torch_reference", type=Path, help="their PyTorch one")
    parser.add_argument(
        "--torch_python",
        default=this_python_with_torch(),
        help="an interpreter with torch, and perhaps torch-fidelity; by default this, if it has it",
    )
    return parser.parse_args(arguments)


def this_python_with_torch() -> str | None:
    """This interpreter, if it can import torch."""
    return sys.executable if importlib.util.find_spec("torch") else None


def main(arguments: Sequence[str] | None = None, plan: Sequence[Benchmark] = BENCHMARKS) -> int:
    """Returns the exit code."""
    asked = parse_arguments(arguments)
    folder = asked.out or (None if asked.quick else ROOT / "docs")
    try:
        benchmarks = runner.chosen(asked.only, plan)
        peers = peer_flags(asked)
        earlier = page.read(folder) if folder else None
        new = page.Record(
            command=command(sys.argv[1:] if arguments is None else arguments),
            date=runner.today(),
            machine=runner.machine(),
            versions=runner.versions(asked.torch_python),
            entries=[],
        )
        if asked.only and earlier and (others := new.differences(earlier)):
            raise ValueError(
                "The other figures of the record are of another machine or version "
                f"({', '.join(f'{key} {value}' for key, value in others.items())}): run all, or "
                f"set another --out. Received: --only={' '.join(asked.only)}."
            )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    start = time.perf_counter()
    record = run_all(new, benchmarks, plan, earlier, peers, asked)
    if folder:
        page.write(record, folder)
        where = f"{folder / page.PAGE} is made of {folder / page.JSON}"
    else:
        print(page.render(record))
        where = "nothing is kept of a quick run without --out"
    failed = f"; failed: {', '.join(record.failed)}" if record.failed else ""
    print(f"{time.perf_counter() - start:.0f} s in all; {where}{failed}.")
    return 1 if record.failed else 0


def run_all(
    new: page.Record,
    benchmarks: Sequence[Benchmark],
    plan: Sequence[Benchmark],
    earlier: page.Record | None,
    peers: dict[str, str],
    asked: argparse.Namespace,
) -> page.Record:
    """The record with an entry for each of the plan."""
    entries = []
    for benchmark in plan:
        known = earlier.entry(benchmark.name) if earlier else None
        if benchmark in benchmarks:
            print(f"\n{benchmark.name} ({len(entries) + 1} of {len(plan)})", flush=True)
            entry = runner.run(benchmark, peers, quick=asked.quick).after(known)
        else:
            entry = known or runner.not_run(benchmark)
        entries.append(entry)
    before = {}
    if earlier:
        before = earlier.before if asked.only else new.differences(earlier)
    return dataclasses.replace(new, entries=entries, before=before)


def peer_flags(asked: argparse.Namespace) -> dict[str, str]:
    """What there is to hold ours against.

    Raises:
        ValueError: for a file that is not there, or that nothing can run.
    """
    found = {}
    for name in ("reference", "torch_reference", "torch_python"):
        if (value := getattr(asked, name)) is None:
            continue
        if name != "torch_python" and not value.is_file():
            raise ValueError(f"There is no such file. Received: --{name}={value}.")
        found[f"--{name}"] = str(value)
    if "--torch_reference" in found and "--torch_python" not in found:
        raise ValueError(
            "PyTorch is not installed here: name an interpreter that has it with --torch_python. "
            f"Received: --torch_reference={asked.torch_reference}."
        )
    return found


def command(arguments: Sequence[str]) -> str:
    """The command as the page has it."""
    return runner.without_folders(shlex.join(["python", "-m", "benchmarks", *arguments]))


if __name__ == "__main__":
    sys.exit(main())
