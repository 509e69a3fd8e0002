"""Every command and every example of the README and the docs runs."""

import itertools
import os
import pathlib
import re
import shlex
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from tf_diffaug.commands import main

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- not run: [^\n]*-->\n)?```(python|sh)\n(.*?)```", re.DOTALL)
BLOCKS = [(page, *match.groups()) for page in PAGES for match in BLOCK.finditer(page.read_text())]
RUN = re.compile(r"(?:runs|packed)/\w+")


def sessions(code):
    """The lines of a block; those of one run or pack together, as each needs those before."""
    return [list(lines) for _, lines in itertools.groupby(code.splitlines(), _run_or_line)]


def _run_or_line(line):
    found = RUN.search(line)
    return found[0] if found else line


# On these pages training commands train, and wherever another command goes on with the run;
# elsewhere they are built and explained.
TRAINED = ("README", "evaluation", "fine_tuning", "reproducing")


def trains(page, lines):
    return page.stem in TRAINED or any(" -m tf_diffaug " in line for line in lines)


SESSIONS = [
    pytest.param(page, lines, id=f"{page.stem}: {'; '.join(lines)}")
    for page, skipped, language, code in BLOCKS
    if language == "sh" and not skipped
    for lines in sessions(code)
]
# The same commands with less to do.
SHORTER = {
    "train.py": ["--width=4", "--batch_size=8", "--num_fakes=130", "--log_every=2", "--noreport"],
    "tools/launch_local.py": ["--width=2", "--batch_size=4", "--steps=2", "--noreport"],
    "benchmarks/augment.py": ["--sizes=2x8x8x3", "--policies=cutout", "--repeats=1"],
    "benchmarks/evaluate.py": ["--num_images=60", "--num_features=16", "--repeats=1"],
    "benchmarks/packed.py": [
        *("--repeats=1", "--megabytes=1", "--batch_size=4", "--presets=quick-sndcgan-cifar10"),
        *("--counts", "500", "50"),
    ],
    "evaluate": ["--num_fakes=20", "--seeds=1"],
    "doctor": ["--networks=sndcgan", "--noxla"],
    "export": [],
    "generate": ["--count=3"],
    "report": [],
    "pack": [],
    "overlap": ["--strengths=0.5", "--repeats=1", "--num_fakes=130"],
    "study": ["--list"],
    "tools/check_features.py": [
        *("--num_images=40", "--num_reals=60", "--fid_features=emoji-cnn", "--repeats=2")
    ],
    "tools/check_readings.py": [
        *("--num_images", "20", "--num_fakes=20", "--fid_features=emoji-cnn", "--repeats=1")
    ],
    "tools/make_emoji_cnn.py": ["--steps=2", "--batch_size=8"],
    "tools/make_ops_figure.py": [],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the commands run: some photos, and CIFAR-10 in small."""
    folder = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for index in range(12):
        pixels = rng.integers(0, 256, (270, 260, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{index}.png")
    layout = folder / "data" / "cifar-10-batches-bin"
    layout.mkdir(parents=True)
    for name in ("test_batch", *(f"data_batch_{k}" for k in range(1, 6))):
        records = rng.integers(0, 256, (100, 3073), np.uint8)
        records[:, 0] = np.arange(100) % 10
        records.tofile(layout / f"{name}.bin")
    return folder


def test_only_what_cannot_be_had_here_is_left_out():
    for _, reason, _, code in BLOCKS:
        if reason:
            download = "download" in reason and "inception" in code
            compilers = "compilers" in reason and "tpu" in code
            gpu = "GPU" in reason and ("and-cuda" in code or "mirrored" in code)
            elsewhere = "Colab" in reason or ("other host" in reason and "multi_worker" in code)
            assert download or compilers or gpu or elsewhere or "account" in reason


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_examples_run_one_after_the_other(page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    namespace = {"__name__": "docs"}
    with warnings.catch_warnings():
        # Keras 3 with NumPy 2 warns of its own conversion when it saves a model.
        warnings.filterwarnings("ignore", message="__array__ implementation doesn't accept a copy")
        for where, skipped, language, code in BLOCKS:
            if where == page and language == "python" and not skipped:
                exec(compile(code, page.name, "exec"), namespace)


@pytest.mark.slow
@pytest.mark.one_stack
@pytest.mark.parametrize(("page", "commands"), SESSIONS)
def test_the_commands_run(page, commands, folder, monkeypatch):
    if commands[0].startswith("make test"):
        pytest.skip("it is what runs this")
    if commands[0].startswith("make bench"):
        pytest.skip("another test runs it, with less to do")
    # Two pages may name one file; and one is called as the folder of CIFAR is.
    place = folder / f"page-{page.stem}"
    if not place.exists():
        place.mkdir()
        for name in ("photos", "data"):
            (place / name).symlink_to(folder / name)
    # Python looks modules up in the folder that it runs in, and the caches are not the user's.
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(place)
    for command in commands:
        check(command, trains(page, commands))


# What prints and ends does so in this process: others take seconds to import TensorFlow.
PRINTS = {"--explain", "--help", "--preset=help"}


def check(command, trained):
    if command == "make train":
        # Of a make of its own, where this runs in one.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        made = subprocess.run(
            ["make", "--dry-run", "train", "ARGS=", "STACK=default"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        (command,) = (line for line in made.stdout.splitlines() if " train.py " in line)
        command = f"python {command.split(maxsplit=1)[1]} --steps=4"  # whichever .venv it is
    program, script, *arguments = shlex.split(command)
    assert program == "python"
    run = [str(ROOT / script)]
    if script == "-m":
        module, script, *arguments = arguments
        run = ["-m", module, script]
    arguments = [re.sub(r"^--steps=\d{3,}$", "--steps=4", argument) for argument in arguments]
    if script == "train.py" and not any(a.startswith("--steps") for a in arguments):
        arguments.append("--steps=4")
    if script == "train.py" and not trained and not any(a == "--dry_run" for a in arguments):
        arguments.append("--explain")
    arguments += SHORTER[script]
    if PRINTS & {*arguments}:
        # To be explained, a recipe is built, in a process that is set up for it.
        explained = script == "train.py"
        asked = ["train", *arguments, "--nodeterministic"] if explained else [script, *arguments]
        assert main(asked) == 0
        return
    done = subprocess.run(
        [sys.executable, *run, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]


def without_code(page):
    return re.sub(r"```.*?```", "", page, flags=re.DOTALL)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target, anchor in re.findall(
            r"\]\(([^)#]+)#?([^)]*)\)", without_code(page.read_text())
        ):
            if "://" in target:
                continue
            path = page.parent / target
            assert path.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(path.read_text()), f"{page.name}: {anchor}"
