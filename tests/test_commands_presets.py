"""The papers' settings, stated a second time."""

import re

import pytest

from tf_diffaug.commands import presets
from tf_diffaug.commands.resolve import resolve
from tf_diffaug.runs.recipe import settle

ADAM = {"g_lr": 2e-4, "d_lr": 2e-4, "beta1": 0.0, "beta2": 0.999}
STYLEGAN_ADAM = {"g_lr": 2e-3, "d_lr": 2e-3, "beta1": 0.0, "beta2": 0.99}
CIFAR_FID = {"fid_features": "inception", "fid_split": "test", "num_fakes": 10_000}
BIGGAN = {
    **ADAM,
    **CIFAR_FID,
    "model": "biggan",
    "width": 64,
    "latent_dim": 128,
    "conditional": True,
    "loss": "hinge",
    "batch_size": 50,
    "d_steps": 4,
    "policy": "translation,cutout",
    "regularizers": "none",
    "ema_decay": 0.9999,
    "ema_start": 1000,
    "ema_ramp": None,
    "eval_batch_norm": "batch",
    "flip": None,
    "fake_labels": "uniform",
    "eval_ema": True,
}
STYLEGAN2 = {
    **STYLEGAN_ADAM,
    **CIFAR_FID,
    "model": "stylegan2",
    "width": 128,
    "latent_dim": 512,
    "conditional": False,
    "batch_size": 32,
    "d_steps": 1,
    "steps": 25_000_000 // 32,
    "loss": "non_saturating",
    "regularizers": "r1(0.1, on=augmented)",
    "ema_half_life": 1e6,
    "ema_ramp": None,
    "ema_start": 1_000_000 // 32,
    "policy": "color,translation,cutout",
}
IMAGENET = {
    "batch_size": 2048,
    "d_steps": 2,
    "latent_dim": 120,
    "g_lr": 1e-4,
    "resolution": 128,
    "beta1": 0.0,
    "beta2": 0.999,
    "policy": "translation(fill=black)",
    "conditional": True,
    "ema_decay": 0.9999,
    "ema_start": 40_000,
    "width": 96,
    "eval_batch_norm": "standing",
}
SECOND = {**CIFAR_FID, "loss": "hinge", "d_steps": 1, "g_lr": 2e-4, "d_lr": 2e-4, "policy": "none"}
SND = {
    **SECOND,
    "model": "sndcgan",
    "width": 64,
    "batch_size": 64,
    "steps": 200_000,
    "conditional": False,
    "beta1": 0.5,
    "beta2": 0.999,
}
BIG = {
    **SECOND,
    "width": 96,
    "batch_size": 256,
    "steps": 100_000,
    "conditional": True,
    "beta1": 0.0,
    "beta2": 0.999,
}
CR_BIGGAN = {**BIGGAN, "policy": "cutout", "regularizers": "cr(10, policy='flip,translation')"}
CR_BIGGAN_FEW = {**BIGGAN, "regularizers": "cr:10", "augment": "both", "subset": "paper"}
EXPECTED = {
    "sndcgan-cifar10": SND,
    "biggan96-cifar10": BIG,
    **{
        name: {**(SND if name.startswith("snd") else BIG), "policy": policy, "augment": augment}
        | {"regularizers": regularizers}
        for name, policy, augment, regularizers in (
            ("sndcgan-reals-cifar10", "translation(0.1, fill=reflect)", "reals", "none"),
            ("sndcgan-both-cifar10", "translation(0.1, fill=reflect)", "both", "none"),
            ("sndcgan-bcr-cifar10", "zoomout:0.4", None, "bcr:10"),
            ("biggan96-both-cifar10", "translation(0.1, fill=reflect)", "both", "none"),
            ("biggan96-bcr-cifar10", "translation(0.4, fill=reflect)", None, "bcr:10"),
            ("biggan96-cntr-cifar10", "crop_resize:0.3,color_jitter", None, "cntr:0.1"),
            (
                "biggan96-cntr-bcr-cifar10",
                "translation(0.4, fill=reflect)",
                None,
                "cntr:0.1,bcr:5",
            ),
        )
    },
    "biggan-cifar10": {**BIGGAN, "steps": 250_000, "dataset": "cifar10", "data_fraction": None},
    "biggan-cifar10-20": {**BIGGAN, "steps": 250_000, "data_fraction": 0.2, "subset": "paper"},
    "biggan-cifar10-10": {**BIGGAN, "steps": 125_000, "data_fraction": 0.1, "subset": "paper"},
    "biggan-cifar100": {**BIGGAN, "steps": 500_000, "dataset": "cifar100", "data_fraction": None},
    "biggan-cifar100-20": {**BIGGAN, "steps": 250_000, "data_fraction": 0.2, "data_seed": 0},
    "biggan-cifar100-10": {**BIGGAN, "steps": 125_000, "data_fraction": 0.1, "data_seed": 0},
    "biggan-cr-cifar10": {**CR_BIGGAN, "steps": 250_000, "data_fraction": None},
    "biggan-cr-cifar10-20": {**CR_BIGGAN_FEW, "steps": 250_000, "data_fraction": 0.2},
    "biggan-cr-cifar10-10": {**CR_BIGGAN_FEW, "steps": 125_000, "data_fraction": 0.1},
    "biggan-cr-cifar100": {**CR_BIGGAN, "steps": 500_000, "dataset": "cifar100"},
    "biggan-cr-cifar100-20": {**CR_BIGGAN_FEW, "steps": 250_000, "dataset": "cifar100"},
    "biggan-cr-cifar100-10": {**CR_BIGGAN_FEW, "steps": 125_000, "dataset": "cifar100"},
    "stylegan2-cifar10": {**STYLEGAN2, "policy": "color,cutout", "data_fraction": None},
    "stylegan2-cifar10-20": {**STYLEGAN2, "data_fraction": 0.2, "dataset": "cifar10"},
    "stylegan2-cifar10-10": {**STYLEGAN2, "data_fraction": 0.1, "dataset": "cifar10"},
    "stylegan2-cifar100": {**STYLEGAN2, "policy": "color,cutout", "dataset": "cifar100"},
    "stylegan2-cifar100-20": {**STYLEGAN2, "data_fraction": 0.2, "dataset": "cifar100"},
    "stylegan2-cifar100-10": {**STYLEGAN2, "data_fraction": 0.1, "dataset": "cifar100"},
    "stylegan2-100shot": {
        **STYLEGAN_ADAM,
        "model": "stylegan2",
        "width": 128,
        "resolution": 256,
        "flip": True,
        "batch_size": 16,
        "steps": 300_000 // 16,
        "regularizers": "r1(10, on=raw)",
        "ema_half_life": 1e4,
        "ema_start": 10_000 // 16,
        "policy": "color,translation,cutout",
        "fid_features": "inception",
        "fid_split": "train",
        "num_fakes": 5_000,
    },
    "r3gan-cifar10": {
        "model": "r3gan",
        "conditional": True,
        "width": 768,
        "latent_dim": 64,
        "loss": "relativistic",
        "regularizers": "r1:cosine(0.05, 0.005, images=20e6), r2:cosine(0.05, 0.005, images=20e6)",
        "augment": "both",
        "policy_probability": "cosine(0, 0.55, images=20e6)",
        "batch_size": 512,
        "d_steps": 1,
        "g_lr": "cosine(2e-4, 5e-5, images=20e6)",
        "d_lr": "cosine(2e-4, 5e-5, images=20e6)",
        "beta1": 0.0,
        "beta2": "cosine(0.9, 0.99, images=20e6)",
        "ema_half_life": "cosine(0, 5e6, images=20e6)",
        "ema_ramp": None,
        "flip": True,
        "fid_split": "train",
        "num_fakes": 50_000,
    },
    "fastgan-100shot": {
        "model": "fastgan",
        "width": 64,
        "latent_dim": 256,
        "resolution": 256,
        "loss": "smooth_hinge",
        "policy": "color,translation",
        "augment": None,
        "regularizers": "reconstruction:8",
        "batch_size": 8,
        "steps": 50_000,
        "d_steps": 1,
        "g_lr": 2e-4,
        "d_lr": 2e-4,
        "beta1": 0.5,
        "beta2": 0.999,
        "ema_decay": 0.999,
        "ema_start": 0,
        "ema_ramp": None,
        "eval_batch_norm": "batch",
        "flip": True,
        "fid_features": "inception",
        "fid_split": "train",
        "num_fakes": 5_000,
    },
    "biggan-imagenet128": {**IMAGENET, "steps": 250_000, "d_lr": 4e-4, "data_fraction": None},
    "biggan-imagenet128-50": {**IMAGENET, "steps": 150_000, "d_lr": 2e-4, "data_fraction": 0.5},
    "biggan-imagenet128-25": {**IMAGENET, "steps": 60_000, "d_lr": 2e-4, "data_fraction": 0.25},
}
# FID with the preset's policy and without, from the tables of arXiv 2006.10738's repository.
FIDS = {
    "sndcgan-cifar10": ("24.73",),
    "biggan96-cifar10": ("14.73",),
    "sndcgan-reals-cifar10": ("31.03",),
    "sndcgan-both-cifar10": ("19.0",),
    "sndcgan-bcr-cifar10": ("14.8",),
    "biggan96-both-cifar10": ("11.1",),
    "biggan96-bcr-cifar10": ("9.21", "8.6"),
    "biggan96-cntr-cifar10": ("12.27", "11.9"),
    "biggan96-cntr-bcr-cifar10": ("8.30",),
    "biggan-cr-cifar10": ("8.49", "9.06"),
    "biggan-cr-cifar10-20": ("12.84", "20.62"),
    "biggan-cr-cifar10-10": ("18.70", "37.45"),
    "biggan-cr-cifar100": ("11.25", "11.26"),
    "biggan-cr-cifar100-20": ("20.28", "36.91"),
    "biggan-cr-cifar100-10": ("26.90", "47.16"),
    "biggan-cifar10": ("8.70", "9.59"),
    "biggan-cifar10-20": ("14.04", "21.58"),
    "biggan-cifar10-10": ("22.40", "39.78"),
    "biggan-cifar100": ("12.00", "12.87"),
    "biggan-cifar100-20": ("22.14", "33.11"),
    "biggan-cifar100-10": ("33.70", "66.71"),
    "stylegan2-cifar10": ("9.89", "11.07"),
    "stylegan2-cifar10-20": ("12.15", "23.08"),
    "stylegan2-cifar10-10": ("14.50", "36.02"),
    "stylegan2-cifar100": ("15.22", "16.54"),
    "stylegan2-cifar100-20": ("16.65", "32.30"),
    "stylegan2-cifar100-10": ("20.75", "45.87"),
    "stylegan2-100shot": ("46.87", "27.08", "12.06", "42.44", "58.85"),
    "r3gan-cifar10": ("1.96", "50,000 fakes"),
    "fastgan-100shot": ("41.05", "26.65", "10.03"),
    "biggan-imagenet128": ("6.80", "7.62", "50,000 fakes"),
    "biggan-imagenet128-50": ("8.88", "9.64"),
    "biggan-imagenet128-25": ("13.28", "25.37"),
}


def config_of(name):
    given = {"dataset": "emoji"} if presets.get(name).needs else {}
    return resolve({"preset": name, **given})[0]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_preset_is_its_papers_setup(name):
    config = config_of(name)
    assert {key: getattr(config, key) for key in EXPECTED[name]} == EXPECTED[name]
    for number in FIDS[name]:
        assert number in presets.get(name).published_fid


def test_every_preset_is_held_against_its_paper():
    full = [name for name in presets.PRESETS if not name.startswith("quick")]
    assert set(full) == set(EXPECTED)
    assert set(FIDS) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_preset_has_a_slim_twin_of_the_same_recipe(name):
    config, twin = config_of(name), config_of(f"quick-{name}")
    for key in (
        "policy",
        "regularizers",
        "augment",
        "loss",
        "conditional",
        "beta1",
        "beta2",
        "subset",
    ):
        # A schedule ends with the run.
        of_twin, of_config = (
            re.sub(r"images=[\de]+", "images=N", str(getattr(one, key))) for one in (twin, config)
        )
        assert of_twin == of_config
    assert twin.width < config.width
    assert twin.steps < config.steps
    assert twin.fid_features == "emoji-cnn"


@pytest.mark.parametrize("name", EXPECTED)
def test_a_twins_average_is_not_evaluated_with_the_moving_averages_of_g(name):
    twin = config_of(f"quick-{name}")
    assert twin.eval_ema
    assert twin.ema_decay > 0
    assert twin.eval_batch_norm != "moving" or twin.model.startswith(("stylegan2", "r3gan"))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_presets_coordinates_fit_each_other(name):
    config = config_of(name)
    recipe = settle(config)
    assert recipe.config.augment != "none" or recipe.regularizers or not recipe.policy.ops


@pytest.mark.parametrize("name", ["biggan-cr-cifar10", "biggan-cr-cifar100-10"])
def test_the_baseline_of_cr_and_diffaugment_is_cr_alone(name):
    given = {"preset": name, "policy": "none"}
    if name.endswith("-10"):
        assert "--augment=none" in presets.get(name).published_fid
        alone = "cr(10, policy='flip,translation')"
        assert alone in presets.get(name).published_fid
        given |= {"augment": "none", "regularizers": alone}
    recipe = settle(resolve(given)[0])
    assert recipe.config.augment == "none"
    assert recipe.config.regularizers == "cr(weight=10, policy='flip,translation')"
