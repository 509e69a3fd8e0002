"""Studies as data: every cell is a recipe that can be trained, with one key wherever it stands."""

import dataclasses
import pathlib
import re

import pytest

import tf_diffaug
from tests.study_lines import SETUP, make_study
from tf_diffaug.commands import train
from tf_diffaug.runs.recipe import settle
from tf_diffaug.studies.claim_values import CLAIMS, claims_of
from tf_diffaug.studies.registry import STUDIES
from tf_diffaug.studies.study import SCALES, Arm

PACKAGE = pathlib.Path(tf_diffaug.__file__).parent


def representative(study, scale):
    """All arms of the small scale, of the others one of each kind."""
    arms = study.arms_at(scale)
    if scale == "cpu":
        return arms
    return list({(arm.panel, arm.series, arm.share): arm for arm in arms}.values())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_every_recipe_can_be_trained(name, scale):
    study = STUDIES[name]
    more = "dataset=folder:photos" if study.needs else ""
    arms = {arm.name for arm in representative(study, scale)}
    for cell in study.cells(scale, [1], more=more):
        if cell.arm.name in arms:
            flags = [f"--{name}={value}" for name, value in cell.flags.items()]
            recipe = settle(train.read(flags).config)
            assert recipe.config.seed == 1
            assert recipe.config.fid_features in ("inception", "efficientnet-lite0:64")
            assert "{" not in " ".join(flags)


def test_what_is_seen_is_the_same_for_all_cells_of_a_study_but_the_paper_s():
    for study in STUDIES.values():
        for scale in ("gpu", "cpu"):
            cells = study.cells(scale, [0])
            assert len({(c.flags["num_fakes"], c.flags["fid_features"]) for c in cells}) == 1
            # A slim run of another network has steps of its own, as its step takes longer.
            mine = [c for c in cells if c.arm.name not in ("+ r3gan", "+ fastgan")]
            assert len({c.flags["steps"] for c in mine}) == 1, study.name


@pytest.mark.parametrize("scale", SCALES)
def test_a_later_method_leaves_the_setup_s_extra_loss_terms_in_place(scale):
    study = STUDIES["later-methods-100shot"]
    flags = {c.arm.name: c.flags for c in study.cells(scale, [0], more="dataset=folder:photos")}
    words = [f"--{name}={value}" for name, value in flags["diffaugment"].items()]
    preset, dataset = f"--preset={flags['none']['preset']}", "--dataset=folder:photos"
    assert settle(train.read(words).config).config.regularizers == (
        "none"
        if scale == "cpu"
        else settle(train.read([preset, dataset]).config).config.regularizers
    )
    assert flags["+ lecam"]["regularizers"].endswith("lecam:0.3")
    assert ("r1(10, on=raw)" in flags["+ lecam"]["regularizers"]) == (scale != "cpu")


def test_every_study_has_every_scale_a_first_arm_and_its_claims():
    for study in STUDIES.values():
        assert tuple(study.setups) == SCALES
        for scale in SCALES:
            assert study.arms_at(scale)[0].name == study.arms[0].name or study.name == "model-size"
    numbers = {claim.number.split()[0] for claim in CLAIMS}
    assert numbers == {str(number) for number in range(1, 18)}


def test_the_small_scale_has_the_arms_of_every_claim():
    for claim in CLAIMS:
        here = []
        for contrast in claim.contrasts:
            study = STUDIES[contrast.study or claim.study]
            here.append(contrast.arms <= {arm.name for arm in study.arms_at("cpu")})
            assert contrast.arms <= {arm.name for arm in study.arms}
        # Of R1's gammas and of the networks' widths it has some.
        assert all(here) or (claim.number in ("12", "13") and any(here)), claim.number
        assert claim in claims_of(claim.study)


def test_one_run_has_one_key_wherever_it_stands():
    studies = [STUDIES[name] for name in ("places", "both-and-bcr", "overlap")]
    first, second, measured = (study.cells("cpu", [2])[0] for study in studies)
    assert first.key == second.key
    # What is measured of the same run besides is another result.
    assert measured.run_name == first.run_name
    assert measured.key != first.key


def test_a_key_is_of_what_is_trained_and_measured_and_nothing_else():
    (cell, *_) = make_study().cells("cpu", [0])

    def key(more="", seed=0):
        return make_study().cells("cpu", [seed], more=more)[0].key

    assert key() == cell.key
    assert key(seed=1) != cell.key
    assert key("steps=200") != cell.key
    assert key("log_every=7 checkpoint_every=3 metrics=fid") == cell.key
    assert key("dataset=folder:a/photos/") == key("dataset=folder:/b/photos") != cell.key
    assert key("dataset=folder:photos") == key("dataset=folder:/b/photos")


def test_flags_are_the_setup_s_the_share_s_and_the_arm_s_in_this_order():
    cells = make_study().cells("cpu", [3, 4], more="steps=7 policy='cutout(0.2, fill=black)'")
    assert [(cell.arm.name, cell.seed) for cell in cells][:3] == [
        ("none", 3),
        ("none", 4),
        ("bcr 0.1", 3),
    ]
    assert cells[2].flags == {
        "steps": "7",
        "eval_every": "20",
        "num_images": "8",
        "data_seed": "3",
        "policy": "cutout(0.2, fill=black)",
        "regularizers": "bcr:10",
        "seed": "3",
    }
    assert "auth_pct" in cells[2].measured["metrics"]
    assert "auth_pct" not in cells[0].measured["metrics"]


def test_hours_are_those_of_all_cells():
    # One plain arm and two of bCR, three seeds each.
    assert make_study().hours("cpu") == pytest.approx(3 * 0.5 * (1 + 2 * 1.6))
    with_bcr = dataclasses.replace(SETUP, counted=("bcr",))
    assert make_study(setups={"cpu": with_bcr}).hours("cpu") == pytest.approx(9 * 0.5)
    unknown = {"cpu": SETUP.__class__("", {100: "", 10: ""}, None, "unknown")}
    assert make_study(setups=unknown).hours("cpu") is None


def test_published_hours_that_are_with_r1_do_not_count_it_again():
    # StyleGAN2's preset has it; two days a cell, whatever its gamma.
    assert STUDIES["r1-gamma"].hours("paper") == pytest.approx(15 * 48)
    assert STUDIES["policies"].hours("paper") == pytest.approx(24 * 48)


def test_arms_have_different_names():
    with pytest.raises(ValueError, match="arms of different names"):
        make_study(arms=(Arm("one"), Arm("one", "steps=2")))
    with pytest.raises(ValueError, match="form='pie'"):
        make_study(form="pie")


def test_studies_stand_between_runs_and_commands():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        home = path.relative_to(PACKAGE).parts[0]
        if home == "studies":
            assert "tf_diffaug.commands" not in text, path
            assert not re.search(r"tf_diffaug\.(training|models|layers|augment)", text), path
        elif home != "commands":
            assert "tf_diffaug.studies" not in text, path


@pytest.mark.parametrize("name", STUDIES)
def test_an_arm_is_compared_with_one_of_each_scale_that_it_has(name):
    for arm in STUDIES[name].arms:
        for scale in arm.scales:
            assert (arm.base or arm.name) in {one.name for one in STUDIES[name].arms_at(scale)}
