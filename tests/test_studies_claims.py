"""Verdicts by the stated rule, and the pages and figures that lines alone make."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.study_lines import make_line, make_study
from tf_diffaug.studies.claims import Claim, Contrast, above, gains_more, mean_above
from tf_diffaug.studies.figures import draw
from tf_diffaug.studies.page import arms_table, differences_table, page, verdicts_table
from tf_diffaug.studies.results import Results
from tf_diffaug.studies.study import Arm


def results_of(fids, study=None, **more):
    """Of arms with these FIDs, one of each seed."""
    study = study or make_study()
    lines = {}
    for cell in study.cells("cpu", range(5)):
        values = fids.get(cell.arm.name, ())
        if cell.seed < len(values) and values[cell.seed] is not None:
            lines[cell.key] = make_line(cell, fids=[values[cell.seed]] * 6, **more)
    return Results(study, lines, "cpu")


def verdict(contrast, fids, **more):
    claim = Claim("1", "it helps", "nowhere", "tiny", (contrast,))
    return claim.verdict(lambda name: results_of(fids, **more))


COLOURS = ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00))  # of the first two lines
BETTER = above("fid", "none", "bcr 0.1")


def test_a_claim_holds_where_the_interval_lies_above_0():
    found = verdict(BETTER, {"none": [10, 11, 12], "bcr 0.1": [7, 7, 9]})
    assert found.verdict == "holds"
    (finding,) = found.findings
    differences = np.array([3, 4, 3.0])
    half = 4.302653 * differences.std(ddof=1) / np.sqrt(3)
    assert finding.interval.mean == pytest.approx(10 / 3)
    assert finding.interval.low == pytest.approx(10 / 3 - half, rel=1e-5)
    assert finding.words == "3.33 (1.9 to 4.77, 3 seeds)"


def test_it_does_not_where_it_lies_below():
    assert verdict(BETTER, {"none": [7, 7, 9], "bcr 0.1": [10, 11, 12]}).verdict == "does not hold"


def test_in_between_it_is_not_decided_and_says_what_it_would_take():
    found = verdict(BETTER, {"none": [10, 11, 9], "bcr 0.1": [9, 11.5, 8]})
    assert found.verdict == "not decided"
    assert re.search(
        r"with this mean and deviation about \d+ seeds would decide", str(found.findings[0].words)
    )


def test_a_claim_whose_arms_no_seed_has_is_not_run():
    assert verdict(BETTER, {"none": [10, 11]}).verdict == "not run"
    assert verdict(BETTER, {"none": [10], "bcr 0.1": [9]}).verdict == "not decided"


def test_seeds_are_paired_and_those_without_a_partner_do_not_count():
    found = verdict(BETTER, {"none": [10, 20, None, 40], "bcr 0.1": [9, 18, 1, None]})
    assert found.findings[0].count == 2
    assert found.findings[0].interval.mean == pytest.approx(1.5)
    one = verdict(BETTER, {"none": [10], "bcr 0.1": [9]})
    assert (one.verdict, one.findings[0].words) == ("not decided", "1 seed(s), 2 are needed")


def test_runs_that_diverged_are_said():
    fids = {"none": [10, 10], "bcr 0.1": [9, 9]}
    found = verdict(BETTER, fids, diverged="diverged at step 3: d_loss is nan")
    assert "2 run(s) of none diverged" in found.findings[0].words


def test_an_arm_whose_runs_all_diverged_was_run():
    study = make_study()
    lines = {}
    for cell in study.cells("cpu", range(2)):
        lost = "diverged at step 3: d_loss is nan" if cell.arm.name == "bcr 0.1" else None
        lines[cell.key] = make_line(cell, diverged=lost)
    results = Results(study, lines, "cpu")
    claim = Claim("1", "it helps", "nowhere", "tiny", (BETTER,))
    found = claim.verdict(lambda name: results)
    assert found.verdict == "not decided"
    evidence = "0 seed(s), 2 are needed; 2 run(s) of bcr 0.1 diverged"
    assert f"| not decided | fid of none above that of bcr 0.1: {evidence} |" in verdicts_table(
        [found]
    )


def test_the_best_are_a_share_of_all_seeds_those_that_diverged_too():
    study = make_study()
    cells = [cell for cell in study.cells("cpu", range(14)) if cell.arm.name == "none"]
    lost = "diverged at step 3: d_loss is nan"
    lines = {
        cell.key: make_line(
            cell, fids=[float(cell.seed)] * 6, diverged=lost if cell.seed > 5 else None
        )
        for cell in cells
    }
    # 15 % of 14 are 3: of seeds 0, 1 and 2.
    row = arms_table(Results(study, lines, "cpu")).splitlines()[2]
    assert row.startswith("| none | 14, 8 diverged | 2.5 ± 1.9 | 1 ± 1 |")


def test_all_contrasts_must_hold_and_one_that_does_not_decides():
    fids = {"none": [10, 10.1], "bcr 0.1": [9, 9], "bcr 0.3": [10, 10]}
    undecided = above("fid", "none", "bcr 0.3")
    against = above("fid", "bcr 0.1", "none")

    def of(*contrasts):
        claim = Claim("1", "it helps", "nowhere", "tiny", contrasts)
        return claim.verdict(lambda name: results_of(fids)).verdict

    assert of(BETTER) == "holds"
    assert of(BETTER, undecided) == "not decided"
    assert of(BETTER, undecided, against) == "does not hold"


def test_contrasts_of_arms_that_the_scale_lacks_are_left_out():
    arms = (Arm("none"), Arm("bcr 0.1"), Arm("bcr 0.3", scales=("paper",)))
    study = make_study(arms=arms)
    claim = Claim("1", "it helps", "nowhere", "tiny", (above("fid", "none", "bcr 0.3"),))
    found = claim.verdict(lambda name: results_of({"none": [1, 2]}, study))
    assert (found.verdict, list(found.findings)) == ("not run", [])


def test_sums_are_those_of_their_words():
    fids = {"none": [10, 12], "bcr 0.1": [7, 7], "bcr 0.3": [8, 9]}
    results = results_of(fids)
    mean = mean_above("fid", ["none", "bcr 0.1"], ["bcr 0.3"], "")
    assert mean.values(results) == pytest.approx([0.5, 0.5])
    gains = gains_more("fid", ("none", "bcr 0.1"), ("none", "bcr 0.3"), "")
    assert gains.values(results) == pytest.approx([3 - 2, 5 - 3])
    constant = Contrast("", ((2.0, "none", "fid"),), -19.0)
    assert constant.values(results) == pytest.approx([1, 5])


FIDS = {"none": [10, 12, 14], "bcr 0.1": [7, 9, 8], "bcr 0.3": [8, 9.5, 11]}


def test_tables_have_means_deviations_and_the_best():
    results = results_of(FIDS)
    rows = arms_table(results).splitlines()
    assert rows[0] == "| arm | seeds | FID | best FID | AuthPct |"
    assert rows[2] == "| none | 3 | 12 ± 2 | 10 | 70 ± 0 |"
    rows = differences_table(results).splitlines()
    assert rows[0] == "| arm | compared with | FID of each seed, less its | mean | 95 % interval |"
    # Mean -4, deviation 1.732.
    assert rows[2] == "| bcr 0.1 | none | -3, -3, -6 | -4 | -8.3 to 0.303 |"


def test_an_arm_is_compared_with_the_one_that_it_names():
    arms = (Arm("none"), Arm("bcr 0.1", "width=2"), Arm("bcr 0.3", "width=3", base="bcr 0.1"))
    rows = differences_table(results_of(FIDS, make_study(arms=arms))).splitlines()
    assert rows[3].startswith("| bcr 0.3 | bcr 0.1 | +1, +0.5, +3 | +1.5 |")


def test_a_page_says_how_it_was_measured_and_shows_its_figures():
    results = results_of(FIDS)
    text = page(results, lambda name: results, ["tiny.png"])
    assert "1,000 fakes against 2,000 test images by `emoji-cnn`." in text
    assert "![does it?](tiny.png)" in text
    assert "Measured unlike" not in text
    claim = Claim("4", "it helps", "nowhere", "tiny", (BETTER,))
    table = verdicts_table([claim.verdict(lambda name: results)])
    assert "| 4 | it helps (nowhere) | `tiny` | not decided |" in table


@pytest.mark.parametrize(
    ("form", "files"),
    [("strength", ["results"]), ("bars", ["results", "curves"]), ("curves", ["curves"])],
)
def test_figures_are_drawn_from_lines_alone(form, files):
    drawn = draw(results_of(FIDS, make_study(form=form)))
    assert list(drawn) == files
    for content in drawn.values():
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        assert min(pixels.shape[:2]) > 200
        assert pixels.std() > 10


def test_lines_at_one_strength_stand_beside_each_other():
    arms = [
        Arm(op, f"policy={op}:0.1", series=op, x=0.1, panel="both") for op in ("zoomin", "zoomout")
    ]
    study = make_study(form="strength", arms=(Arm("none"), *arms))
    drawn = draw(results_of({arm.name: [9, 10, 14] for arm in arms}, study))["results"]
    pixels = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB"))
    blue, orange = (np.all(pixels == colour, axis=-1).sum() for colour in COLOURS)
    assert 0.8 < blue / orange < 1.25


def test_an_overlap_is_boxes():
    study = make_study(form="boxes", overlap="repeats=1")
    overlap = {"cells": [{"op": "cutout", "strength": s, "ratio": [0.5, 0.6]} for s in (0.1, 0.2)]}
    assert list(draw(results_of(FIDS, study, overlap=overlap))) == ["results"]
    assert draw(results_of(FIDS, study)) == {}
    assert draw(results_of({})) == {}
