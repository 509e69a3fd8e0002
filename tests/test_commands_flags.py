"""The command line: what is read, and every mistake in one line."""

import dataclasses
import re

import pytest

from tf_diffaug.commands import main, presets, train
from tf_diffaug.commands.resolve import resolve
from tf_diffaug.errors import UserError
from tf_diffaug.runs import networks
from tf_diffaug.runs.config import Config, fields
from tf_diffaug.training import LOSSES


def run(line):
    return train.read(line.split())


def given(line):
    """The settings that a command line states."""
    config, origins, *_ = run(line)
    return {name: getattr(config, name) for name, origin in origins.items() if origin == "flag"}


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ("", {}),
        ("--steps=5 --policy color,cutout", {"steps": 5, "policy": "color,cutout"}),
        ("--g_lr=1e-4 --d-lr 2e-3", {"g_lr": 1e-4, "d_lr": 2e-3}),
        ("--flip --nodeterministic", {"flip": True, "deterministic": False}),
        ("--no-flip --no_eval_ema", {"flip": False, "eval_ema": False}),
        ("--flip=auto --num_images=all --data_fraction=none", "unset"),
        ("--augment=none", {"augment": "none"}),
        ("--augment=auto", {"augment": None}),
        ("--run_dir=auto", {"run_dir": None}),
        ("--seed=1 --seed=2", {"seed": 2}),
        ("--data-dir=/x/no-such-place", {"data_dir": "/x/no-such-place"}),
    ],
)
def test_settings_are_read(line, settings):
    if settings == "unset":
        settings = {"flip": None, "num_images": None, "data_fraction": None}
    assert given(line) == settings


@pytest.mark.parametrize("line", ["--dry_run", "--dry-run", "-dry_run"])
def test_a_dry_run_is_understood_with_a_hyphen(line):
    assert run(line).dry_run
    assert not run(line).explain
    assert given(line) == {}


def test_a_home_is_found_behind_an_equals_sign(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert given("--run_dir=~/runs/x") == {"run_dir": "/home/me/runs/x"}


@pytest.mark.parametrize("word", ["auto", "none"])
def test_files_of_cifar_are_unset_by_either_word(word):
    assert run(f"--data_dir={word}").config.data_dir is None


def test_a_preview_takes_a_path_or_none():
    assert run("").preview is None
    assert run("--preview").preview == "preview.png"
    assert given("--preview --steps=3") == {"steps": 3}
    assert run("--preview=sheet.png").preview == "sheet.png"
    with pytest.raises(
        UserError, match=r"--preview is a \.png file. Received: --preview=sheet.jpg"
    ):
        run("--preview=sheet.jpg")


MISTAKES = {
    "--polcy=color": "unknown flag --polcy. Did you mean --policy?",
    "--dry_runn": "unknown flag --dry_runn. Did you mean --dry_run?",
    "--xyzzy=1": "unknown flag --xyzzy. --helpfull lists them.",
    "--steps=many": "--steps takes a whole number. Received: --steps=many",
    "--steps=1e3": "--steps takes a whole number. Received: --steps=1e3",
    "--g_lr=fast": "--g_lr takes a number, linear(start, end, images=N) or cosine(start, end, "
    "images=N). Received: --g_lr=fast",
    "--g_lr=linear(1,2)": "--g_lr takes a number, linear(start, end, images=N) or ",
    "--g_lr=cosine(1e-4,-1,images=9)": "--g_lr must be above 0. Received: --g_lr=cosine(1e-4,-1,",
    "--g_lr=linear(0,0,images=9)": "--g_lr must be above 0",
    "--beta2=linear(0.9,1,images=9)": "--beta2 must be below 1. Received: --beta2=linear(0.9,1,",
    "--beta1=nan": "--beta1 must be a finite number",
    "--policy=color --policy_probability=1.5": "--policy_probability must be at most 1",
    "--policy_probability=linear(0,1,images=9)": "add --policy=color,translation,cutout, for "
    "example, or leave it at always. Received: --policy_probability=linear(0,1,images=9).",
    "--flip=maybe": "--flip takes true or false. Received: --flip=maybe",
    "--noflip=1": "--noflip=1 does not take an argument",
    "--steps": "--steps needs a value: --steps=...",
    "--policy=": "--policy takes a value. Received: --policy=",
    "junk": "unexpected argument 'junk': every setting is a --flag=value.",
    "polici --steps=3": "Did you mean --policy?",
    "--flagfile=missing.txt": "Unable to open flagfile",
    "--batch_size=0": "--batch_size must be at least 1. Received: --batch_size=0.",
    "--d_steps=0": "--d_steps must be at least 1",
    "--steps=-5": "--steps must be at least 1",
    "--eval_every=-1": "--eval_every must be at least 0",
    "--log_every=0": "--log_every must be at least 1",
    "--keep_checkpoints=0": "--keep_checkpoints must be at least 1",
    "--data_fraction=0": "--data_fraction must be above 0",
    "--data_fraction=1.5": "--data_fraction must be at most 1",
    "--ema_decay=1": "--ema_decay must be below 1. Received: --ema_decay=1.",
    "--g_lr=1e400": "--g_lr must be a finite number. Received: --g_lr=1e400.",
    "--ema_half_life=nan": "--ema_half_life must be a finite number",
    "--seed=-1": "--seed must be at least 0",
    "--augment=bth": "Unknown augment 'bth'. Did you mean 'both'? Choose from none, reals,",
    "--strategy=miror": "Unknown strategy 'miror'. Did you mean 'mirrored'? Choose from auto, ",
    "--fid_split=val": "Unknown fid_split 'val'. Choose from auto, train, test.",
    "--preset=quik": "unknown preset 'quik'. Did you mean 'quick'? Choose from quick, ",
    "--num_images=10 --data_fraction=.5": "--num_images and --data_fraction exclude each other",
    "--DiffAugment=color": "--policy=color,translation,cutout",
    "--channels=2": "Unknown channels 2. Choose from 1, 3, 4. Received: --channels=2.",
    "--model=biggan --fake_labels=data": "add --conditional",
    "--model=biggan --label_fraction=.1": "add --conditional. Received: --label_fraction=0.1",
    "--label_fraction=0": "--label_fraction must be above 0",
    "--augment=both": "--augment=both needs an augmentation",
    "--preset=quick --policy=none --augment=reals": "--augment=reals needs an augmentation",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(line):
    with pytest.raises(UserError) as caught:
        run(line)
    assert MISTAKES[line] in str(caught.value)
    assert "\n" not in str(caught.value)


def shown(text):
    return re.findall(r"^  --(\w+)", text, re.MULTILINE)


@pytest.mark.parametrize("flag", ["--help", "--helpshort", "-h"])
def test_help_fits_one_screen(flag, capsys):
    assert main(["train", flag]) == 0
    text = capsys.readouterr().out
    assert text.count("\n") <= 46
    assert max(map(len, text.splitlines())) <= 100
    assert f"--steps={Config().steps}" in text
    assert "beta1" not in shown(text)


def test_full_help_has_every_flag_once_with_its_choices(capsys):
    assert main(["train", "--helpfull"]) == 0
    text = capsys.readouterr().out
    assert sorted(shown(text)) == sorted(
        [*fields(), "compile_for", "explain", "dry_run", "preview"]
    )
    assert "none, reals, d_only, both" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100


def test_presets_are_listed_with_what_to_expect(capsys):
    assert main(["train", "--preset=help"]) == 0
    text = capsys.readouterr().out
    for name, preset in presets.PRESETS.items():
        assert f"{preset.command}\n" in f"{text}\n"
        if not name.startswith(presets.QUICK):
            assert preset.published_fid in text
            assert preset.cost in text


def test_every_preset_is_a_valid_configuration():
    for name, preset in presets.PRESETS.items():
        own = {"dataset": "emoji"} if preset.needs else {}
        config, _ = resolve({"preset": name, **own})
        for setting, value in preset.settings.items():
            assert getattr(config, setting) == value


def test_a_preset_for_images_of_ones_own_asks_for_them():
    with pytest.raises(UserError, match="--preset=stylegan2-100shot --dataset=folder:PATH"):
        resolve({"preset": "stylegan2-100shot"})
    assert not presets.get("quick-stylegan2-100shot").needs


def test_the_words_of_a_flag_have_every_name_that_it_takes():
    words = {name: field.metadata["text"] for name, field in fields().items()}
    for flag, names in {
        "model": networks.NETWORKS,
        "conditional": networks.conditional_models(),
        "loss": LOSSES,
    }.items():
        assert [name for name in names if not re.search(rf"\b{name}\b", words[flag])] == []


def test_every_field_explains_itself():
    for name, field in fields().items():
        assert field.metadata["text"], name
    assert dataclasses.fields(Config)
