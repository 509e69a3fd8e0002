"""The results that the repository shows are those that its lines make."""

import re

import pytest

from tests.study_lines import make_line, make_study
from tf_diffaug.studies.claim_values import CLAIMS
from tf_diffaug.studies.page import page
from tf_diffaug.studies.results import Place, Results, by_study
from tools.results_page import (
    BEGIN,
    DOCS,
    END,
    FOLDER,
    TABLES,
    asked,
    seeds_words,
    verdicts,
    with_table,
)

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@pytest.fixture(scope="module")
def lines():
    return Place(FOLDER, "cpu").lines()


def test_only_the_table_is_written_anew():
    text = f"before\n{BEGIN}\n\nold\n\n{END}\nafter\n"
    assert with_table(text, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_heading_says_how_many_seeds_there_are():
    study, lines = make_study(), {}

    def said():
        return seeds_words(Results(study, lines, "cpu"))

    first, second = (study.cells("cpu", [seed]) for seed in range(2))
    lines.update({cell.key: make_line(cell) for cell in first})
    assert said() == "one seed"
    lines[second[0].key] = make_line(second[0])
    assert said() == "1 to 2 seeds"
    lines.update({cell.key: make_line(cell) for cell in second})
    assert said() == "2 seeds"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_a_table_is_that_of_the_lines(path, lines):
    text = path.read_text()
    assert with_table(text, TABLES[path](lines, "cpu")) == text, "tools/results_page.py writes it"


def test_every_claim_has_a_row(lines):
    rows = [row.split(" | ")[0].strip("| ") for row in verdicts(lines, "cpu").splitlines()[2:]]
    assert rows == [claim.number for claim in CLAIMS]


def test_the_readme_counts_the_verdicts(lines):
    said = re.search(r"(\w+) claims hold, (\w+) do\s+not", (DOCS.parent / "README.md").read_text())
    found = re.findall(r"\| (holds|does not hold) \|", verdicts(lines, "cpu"))
    counts = [NUMBERS[found.count(verdict)] for verdict in ("holds", "does not hold")]
    assert [word.lower() for word in said.groups()] == counts


def test_a_study_with_lines_has_its_page_there_as_they_make_it(lines):
    readme = (FOLDER / "README.md").read_text()
    studies = asked(lines, "cpu")
    assert studies
    for one in studies:
        results_of = by_study(lines, "cpu", more=one.words)
        text = (FOLDER / "cpu" / f"{one.file_name}.md").read_text()
        pictures = re.findall(r"^!\[.*\]\((.+)\)$", text, re.MULTILINE)
        assert all((FOLDER / "cpu" / name).exists() for name in pictures)
        assert page(results_of(one.name), results_of, pictures) == text, one.file_name
        assert f"(cpu/{one.file_name}.md)" in readme
