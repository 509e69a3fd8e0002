"""Draws every study of `docs/results` that has lines, and writes the tables of pages by hand.

These are the verdicts in `docs/results/README.md`, and what methods come to in `docs/methods.md`.

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
from tf_diffaug.studies.claims import above
from tf_diffaug.studies.page import difference_words, score_words, table, verdicts_table
from tf_diffaug.studies.registry import STUDIES
from tf_diffaug.studies.results import Line, Place, Results, by_study

DOCS = Path(__file__).resolve().parents[1] / "docs"
FOLDER = DOCS / "results"
BEGIN, END = "<!-- table, by tools/results_page.py -->", "<!-- end of the table -->"
# What the studies for images of one's own were run on here; these may be used, but not shown.
PHOTOS = ("folder:100shot_panda",)


def asked(lines: dict[str, Line], scale: str) -> list[Asked]:
    """The studies of which more than the baseline has lines."""
    found = []
    for name, study in STUDIES.items():
        for dataset in PHOTOS if study.needs else (None,):
            one = Asked(name=name, scale=scale, dataset=dataset, draw=True, folder=FOLDER)
            results = Results(study, lines, scale, more=one.words)
            arms = results.arms()
            # The baseline alone is other studies' too.
            if len(arms) > 1 or (arms and study.overlap):
                found.append(one)
    return found


def verdicts(lines: dict[str, Line], scale: str) -> str:
    """The table of all claims."""
    results_of = by_study(lines, scale)
    return verdicts_table([claim.verdict(results_of) for claim in CLAIMS])


def methods(lines: dict[str, Line], scale: str) -> str:
    """The table of what methods add to DiffAugment, and how low each is on photographs."""
    results = by_study(lines, scale)("later-methods")
    photos = by_study(lines, scale, more=f"dataset={PHOTOS[0]}")("later-methods-100shot")
    rows = []
    for arm in results.arms():
        found = above("fid", arm.name, arm.base).values(results) if arm.base else []
        rows.append(
            [
                arm.series,
                str(len(results.lines(arm.name))),
                score_words(results, arm, "fid"),
                *(difference_words(found) if found else ["", "", ""]),
                score_words(photos, arm, "fid"),
            ]
        )
    head = ["", "seeds", "CIFAR-10", "less DiffAugment's, seed by seed", "mean", "95 % interval"]
    return table([*head, f"pandas, {seeds_words(photos)}"], rows)


def seeds_words(results: Results) -> str:
    """How many seeds the arms have: `one seed`, `3 seeds` or `1 to 3 seeds`."""
    counts = {len(results.lines(arm.name)) for arm in results.arms()} or {0}
    if counts == {1}:
        return "one seed"
    least, most = min(counts), max(counts)
    return f"{most} seeds" if least == most else f"{least} to {most} seeds"


def with_table(text: str, made: str) -> str:
    """A page with another table."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.split(END)[1]}"


# By page: what makes its table.
TABLES = {FOLDER / "README.md": verdicts, DOCS / "methods.md": methods}


def main() -> None:
    """Draws and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", default="cpu", help="whose lines; cpu by default")
    args = parser.parse_args()
    place = Place(FOLDER, args.scale)
    lines = place.lines()
    for one in asked(lines, args.scale):
        write(one, place, samples=one.dataset is None)
    for path, make in TABLES.items():
        write_atomically(path, with_table(path.read_text(), make(lines, args.scale)))


if __name__ == "__main__":
    main()
