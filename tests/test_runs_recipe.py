"""The three coordinates: how they are settled, and the words for it."""

import numpy as np
import pytest

from tf_diffaug.commands.explain import in_words
from tf_diffaug.commands.resolve import as_flags
from tf_diffaug.data import ImageData
from tf_diffaug.errors import UserError, user_mistakes
from tf_diffaug.runs.config import Config, fields
from tf_diffaug.runs.recipe import settle
from tf_diffaug.training import get_loss, regularizers


class Consistency(regularizers.Regularizer):
    """In place of a regularizer that uses the policy."""

    name = "consistency"
    summary = "logits are to agree"
    uses_policy = True

    def __init__(self, weight=10.0):
        super().__init__(weight)

    def discriminator_term(self, turn):
        raise NotImplementedError


def words(features="emoji-cnn", **settings):
    config = Config(**settings)
    # CIFAR's own images may be mirrored, those that come with the package not.
    data = ImageData("some", np.zeros([4, 8, 8, 3], np.uint8), flip=config.dataset == "cifar10")
    text = in_words(settle(config), data=data, fid_features=features)
    assert max(map(len, text.splitlines())) <= 100
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("settings", "augment", "why"),
    [
        ({}, "none", "there is no policy"),
        ({"policy": "color"}, "both", "a policy that nothing else uses is DiffAugment's"),
        ({"policy": "color", "regularizers": "r1:10"}, "both", "a policy that nothing else uses"),
        ({"policy": "color", "augment": "d_only"}, "d_only", "as asked"),
    ],
)
def test_which_losses_see_augmented_images_is_settled_with_a_reason(settings, augment, why):
    recipe = settle(Config(**settings))
    assert recipe.config.augment == augment
    assert recipe.why.startswith(why)


def test_a_regularizer_that_uses_the_policy_leaves_the_losses_plain(monkeypatch):
    monkeypatch.setitem(regularizers.REGULARIZERS, "consistency", Consistency)
    settings = {"policy": "color", "regularizers": "consistency:10"}
    recipe = settle(Config(**settings))
    assert recipe.config.augment == "none"
    assert recipe.why == "consistency uses the policy"
    text = words(**settings)
    assert "nowhere in the adversarial losses, augment=none: consistency uses the policy" in text
    assert "(uses the policy): logits are to agree." in text


# What a term needs beside it.
NEEDED = {
    "chain": {"model": "sndcgan(normalization=chain)"},
    "diffusion": {"policy": "color,diffusion_noise"},
    "path_length": {"model": "stylegan2"},
    "reconstruction": {"model": "fastgan"},
    "s3gan": {"model": "biggan", "conditional": True, "label_fraction": 0.1},
}


@pytest.mark.parametrize("name", regularizers.REGULARIZERS)
def test_each_extra_term_is_said_in_the_words_of_its_own(name):
    settings = {"policy": "color", "regularizers": name, **NEEDED.get(name, {})}
    text = words(**settings)
    assert regularizers.REGULARIZERS[name].summary in text
    assert f"{settings.get('model', 'sndcgan')} at width" in text


def test_terms_are_said_together():
    text = words(policy="color", regularizers="ada:0.5,r1:10,topk,apa")
    for name in ("ada", "r1", "topk", "apa"):
        assert regularizers.REGULARIZERS[name].summary in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "colour"}, "Did you mean 'color'?"),
        ({"policy": "color:9"}, "9"),
        ({"policy": "color,"}, "color,"),
        ({"policy": "color(", "augment": "both"}, "bracket"),
        ({"regularizers": "r11:10"}, "Did you mean 'r1'?"),
        ({"regularizers": "r1:10,r1:5"}, "twice"),
        ({"policy": "color", "augment": "none"}, "Nothing would use the policy"),
        ({"metrics": "fid,fda"}, "Did you mean 'fid'? Choose from auth_pct, coverage, ct, "),
        ({"metrics": "fid,,kid"}, "Unknown metric ''"),
        (
            {"metrics": "kid,ct", "best_by": "fid"},
            "--best_by is one of --metrics. Choose from kid. Received: --best_by=fid "
            "--metrics=kid,ct.",
        ),
        (
            {"metrics": "ct,auth_pct"},
            "ct and auth_pct cannot choose a checkpoint: neither lower nor higher is better. Add "
            "one that can, such as fid. Received: --metrics=ct,auth_pct.",
        ),
        ({"metrics": "fid,ct", "best_by": "ct"}, "ct cannot choose a checkpoint: neither lower"),
        ({"metrics": "ct", "best_by": "ct"}, "Add one that can, such as fid. Received:"),
        ({"regularizers": "path_length"}, "add --model=stylegan2. Received: --model=sndcgan."),
        (
            {"model": "stylegan2", "regularizers": "chain"},
            "chain is about layers that this D has not: add --model='biggan(normalization=chain)' "
            "or 'sndcgan(normalization=chain)'. Received: --model=stylegan2.",
        ),
        (
            {"model": "biggan(normalization=chain)", "regularizers": "r1"},
            "normalization=chain does nothing by itself: add --regularizers=chain. Received: "
            "--model=biggan(normalization=chain).",
        ),
        ({"regularizers": "s3gan"}, "add --conditional. Received: --regularizers=s3gan"),
        (
            {"model": "biggan", "conditional": True, "label_fraction": 0.1, "regularizers": "r1"},
            "add --regularizers=s3gan. Received: --label_fraction=0.1",
        ),
    ],
)
def test_a_mistake_in_a_coordinate_is_one_line(settings, message):
    with pytest.raises(UserError) as caught, user_mistakes():
        settle(Config(**settings))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [("fid", "fid"), ("kid", "kid"), ("kid,fid", "fid"), ("auth_pct,recall,kid", "recall")],
)
def test_the_best_checkpoint_follows_the_metrics(metrics, expected):
    assert settle(Config(metrics=metrics)).config.best_by == expected


def test_two_spellings_of_a_recipe_are_one():
    spellings = ("color, cutout(0.25)", "color,cutout:0.25")
    assert len({settle(Config(policy=text)).config for text in spellings}) == 1
    assert settle(Config(metrics="fid, kid,fid")).config.metric_names == ("fid", "kid")
    spellings = ("r1:10", "r1(weight=10)")
    assert len({settle(Config(regularizers=text)).config for text in spellings}) == 1


def test_regularizers_stand_in_one_order():
    first, second = (settle(Config(regularizers=text)) for text in ("r2:1,r1:2", "r1:2,r2:1"))
    assert first.config == second.config
    assert [[r.name for r in d.regularizers] for d in (first, second)] == [["r1", "r2"]] * 2


def test_diffaugment_in_words():
    text = words(policy="color,translation,cutout")
    assert "D sees augmented reals and augmented fakes" in text
    assert "G follows D's judgement of augmented fakes" in text
    assert "augment=both: a policy that nothing else uses is DiffAugment's" in text
    assert "averaged with decay 0.999 a step from the start" in text
    assert "fakes of the averaged G (batch norm by moving averages)" in text
    assert "features of emoji-cnn" in text


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "D sees plain reals and plain fakes"),
        ({"policy": "color", "augment": "reals"}, "traces of the augmentation in the samples"),
        ({"policy": "color", "augment": "d_only"}, "G's gradient loses its meaning"),
        ({"flip": True}, "half of the reals are mirrored, as asked"),
        ({"flip": False, "dataset": "cifar10"}, "no images are mirrored, as asked"),
        ({"dataset": "cifar10"}, "half of the reals are mirrored, as this dataset says"),
        ({}, "no images are mirrored, as this dataset says"),
        ({"regularizers": "r1:10"}, "Extra terms r1(weight=10"),
        ({"num_images": 50, "subset": "paper"}, "50 images, drawn as DiffAugment's own code"),
        ({"data_fraction": 0.1}, "10 % of the images, drawn at random once, from --data_seed=0"),
        ({"ema_decay": 0.0}, "G's own weights are sampled"),
        ({"ema_half_life": 1000.0}, "a half-life in images of 1,000 from the start"),
        (
            {"ema_half_life": "cosine(0, 5e6, images=2e7)"},
            "a half-life in images of 0 to 5,000,000 along a cosine over 20,000,000 images",
        ),
        (
            {"g_lr": "linear(2e-4, 0, images=1000)", "steps": 100},
            "Adam(0.0002 to 0 evenly over 1,000 images for G, 0.0002 for D, betas 0.5 and 0.999)",
        ),
        (
            {"regularizers": "r1:cosine(1, 0.5, images=1000)", "steps": 100},
            "Schedules count 32 images a G step, 3,200 in all",
        ),
        (
            {"policy": "color", "policy_probability": "linear(0, 0.6, images=1e5)"},
            "Each op is applied with probability 0 to 0.6 evenly over 100,000 images.",
        ),
        ({"policy": "color", "policy_probability": 0.5}, "applied with probability 0.5."),
        ({"ema_start": 1000}, "from step 1000"),
        ({"ema_ramp": 0.1}, "at most 10% of the steps so far"),
        ({"d_steps": 4}, "4 D steps before each"),
        ({"eval_batch_norm": "standing"}, "statistics of 100 batches taken for it"),
        ({"truncation": 0.5}, "truncation 0.5"),
        ({}, "labels are not looked at"),
        ({}, "from 128 standard normal latents"),
        ({"model": "sndcgan(latents=uniform)"}, "uniform latents"),
        ({"loss": "relativistic"}, get_loss("relativistic").summary),
        ({"model": "biggan", "conditional": True}, "fakes' labels are drawn uniformly"),
        (
            {"model": "biggan", "conditional": True, "fake_labels": "data"},
            "as often as the data has them",
        ),
        (
            {
                "model": "biggan",
                "conditional": True,
                "label_fraction": 0.1,
                "regularizers": "s3gan",
            },
            "10 % of the reals' labels are known, drawn at random once, from --data_seed=0",
        ),
        ({"eval_batch_norm": "batch"}, "batch norm by each batch's statistics"),
        ({"eval_ema": False}, "samples and FID ignore it"),
        ({"features": "none"}, "Evaluation no FID."),
        ({}, "Evaluation FID every 1000 steps"),
        ({}, "The best checkpoint is that of the lowest FID."),
        ({"metrics": "fid,kid,recall", "best_by": "recall"}, "FID, KID and recall every 1000"),
        ({"metrics": "fid,recall", "best_by": "recall"}, "that of the highest recall."),
        ({"metrics": "kid"}, "The best checkpoint is that of the lowest KID."),
    ],
)
def test_a_setting_shows_in_the_words(settings, expected):
    assert expected in words(**settings)


def test_the_choices_named_before_tensorflow_is_loaded_are_the_librarys():
    from tf_diffaug.data.core import SUBSET_MODES
    from tf_diffaug.evaluation.registry import EXTRACTORS
    from tf_diffaug.runs.sampler import BATCH_NORM
    from tf_diffaug.training import LOSSES, MODES, STRATEGIES
    from tf_diffaug.training.across_batch import VIEWS

    choices = {field.name: field.metadata["choices"] for field in fields().values()}
    assert set(choices["augment"]) == set(MODES)
    assert all(name in fields()["loss"].metadata["text"] for name in LOSSES)
    named = fields()["fid_features"].metadata["text"].replace(" or", ",").split(", ")
    assert set(named) == {*EXTRACTORS, "auto", "none", "a path"}
    assert set(choices["strategy"]) == set(STRATEGIES)
    assert set(choices["views"]) == set(VIEWS)
    assert set(choices["subset"]) == set(SUBSET_MODES)
    assert set(choices["eval_batch_norm"]) == set(BATCH_NORM)


def test_schedules_have_one_spelling():
    texts = {
        "g_lr": "cosine( 2e-4,5e-5, images = 20e6 )",
        "d_lr": "1e-3",
        "ema_half_life": "linear(0,5000000,images=20_000_000)",
        "regularizers": "r2:cosine(.05, 5e-3, images=20e6),r1('cosine(.05, 5e-3, images=20e6)')",
    }
    recipe = settle(Config(**texts))
    config = recipe.config
    assert config.g_lr == "cosine(0.0002, 5e-05, images=2e+07)"
    assert config.d_lr == 1e-3
    assert config.ema_half_life == "linear(0, 5000000, images=20000000)"
    weight = "weight=cosine(0.05, 0.005, images=2e+07), on=raw, every=1"
    assert config.regularizers == f"r1({weight}),r2({weight})"
    assert settle(config).config == config
    assert recipe.is_scheduled
    assert not settle(Config(regularizers="r1:1")).is_scheduled


def test_constants_are_kept_as_they_were():
    config = Config(g_lr=1e-3, beta1=0)
    assert settle(config).config.lasting()["beta1"] == 0
    assert isinstance(settle(config).config.g_lr, float)


def test_a_policy_that_ada_steers_has_no_other_probability():
    settings = {
        "policy": "color",
        "regularizers": "ada",
        "policy_probability": "linear(0,1,images=9)",
    }
    config = Config(**settings)
    with pytest.raises(UserError) as caught, user_mistakes(lambda text: as_flags(config, text)):
        settle(config)
    assert str(caught.value) == (
        "ada moves the probability of the policy's ops itself: leave it or --policy_probability "
        "out. Received: --policy_probability=linear(0,1,images=9)."
    )
