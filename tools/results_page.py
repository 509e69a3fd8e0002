"""Draws every study of `docs/results` that has lines, and writes the verdicts into its README.

python tools/results_page.py
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tf_diffaug.commands.study import Asked, write
from tf_diffaug.files import write_atomically
from tf_diffaug.studies.claim_values import CLAIMS
from tf_diffaug.studies.page import verdicts_table
from tf_diffaug.studies.registry import STUDIES, get_study
from tf_diffaug.studies.results import Line, Place, Results

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "results"
BEGIN, END = "<!-- verdicts, by tools/results_page.py -->", "<!-- end of verdicts -->"
# What the studies for images of one's own were run on here; these may be used, but not shown.
PHOTOS = ("folder:100shot_panda",)


def asked(lines: dict[str, Line], scale: str) -> list[Asked]:
    """The studies of which more than the baseline has lines."""
    found = []
    for name, study in STUDIES.items():
        for dataset in PHOTOS if study.needs else (None,):
            one = Asked(name=name, scale=scale, dataset=dataset, draw=True, folder=FOLDER)
            results = Results(study, lines, scale, more=one.words)
            arms = [arm for arm in study.arms if results.lines(arm.name)]
            # The baseline alone is other studies' too.
            if len(arms) > 1 or (arms and study.overlap):
                found.append(one)
    return found


def verdicts(lines: dict[str, Line], scale: str) -> str:
    """The table of all claims."""

    def results_of(name: str) -> Results:
        return Results(get_study(name), lines, scale)

    return verdicts_table([claim.verdict(results_of) for claim in CLAIMS])


def page(text: str, table: str) -> str:
    """The README with another table."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Draws and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", default="cpu", help="whose lines; cpu by default")
    args = parser.parse_args()
    place, readme = Place(FOLDER, args.scale), FOLDER / "README.md"
    lines = place.lines()
    for one in asked(lines, args.scale):
        write(one, place, samples=one.dataset is None)
    text = page(readme.read_text(), verdicts(lines, args.scale))
    write_atomically(readme, text.encode())


if __name__ == "__main__":
    main()
