"""The results that the repository shows are those that its lines make."""

import pytest

from tf_diffaug.studies.claim_values import CLAIMS
from tf_diffaug.studies.results import Place
from tools.results_page import BEGIN, END, FOLDER, asked, page, verdicts


@pytest.fixture(scope="module")
def lines():
    return Place(FOLDER, "cpu").lines()


def test_only_the_table_is_written_anew():
    text = f"before\n{BEGIN}\n\nold\n\n{END}\nafter\n"
    assert page(text, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_the_readme_has_every_claim_as_the_lines_decide_it(lines):
    readme = (FOLDER / "README.md").read_text()
    table = verdicts(lines, "cpu")
    assert page(readme, table) == readme, "python tools/results_page.py writes it"
    rows = [row.split(" | ")[0].strip("| ") for row in table.splitlines()[2:]]
    assert rows == [claim.number for claim in CLAIMS]


def test_a_study_with_lines_has_its_page_there(lines):
    for one in asked(lines, "cpu"):
        assert list((FOLDER / "cpu").glob(f"{one.name}*.md")), one.name
