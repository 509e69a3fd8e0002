"""The command line: what is read, and every mistake in one line."""

import dataclasses

import pytest

from app import help_text, presets
from app.config import Config, fields
from app.errors import UserError
from app.flags import parse
from app.resolve import resolve


def run(line):
    return parse(["train.py", *line.split()])


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
    assert run(line).settings == settings


@pytest.mark.parametrize("line", ["--dry_run", "--dry-run", "-dry_run"])
def test_a_dry_run_is_understood_with_a_hyphen(line):
    command = run(line)
    assert command.dry_run
    assert not command.explain
    assert command.settings == {}


def test_a_preview_takes_a_path_or_none():
    assert run("").preview is None
    assert run("--preview").preview == "preview.png"
    assert run("--preview --steps=3").settings == {"steps": 3}
    assert run("--preview=sheet.png").preview == "sheet.png"
    with pytest.raises(
        UserError, match=r"--preview is a \.png file. Received: --preview=sheet.jpg"
    ):
        run("--preview=sheet.jpg")


MISTAKES = {
    "--polcy=color": "unknown flag --polcy. Did you mean --policy?",
    "--dry_runn": "unknown flag --dry_runn. Did you mean --dry_run?",
    "--xyzzy=1": "unknown flag --xyzzy. --help lists them.",
    "--steps=many": "--steps takes a whole number. Received: --steps=many",
    "--steps=1e3": "--steps takes a whole number. Received: --steps=1e3",
    "--g_lr=fast": "--g_lr takes a number. Received: --g_lr=fast",
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
    "--ema_decay=1": "--ema_decay must be below 1",
    "--ema_half_life=nan": "--ema_half_life must be a finite number",
    "--seed=-1": "--seed must be at least 0",
    "--augment=bth": "unknown augment 'bth'. Did you mean 'both'? Choose from none, reals,",
    "--model=sndcgam": "unknown model 'sndcgam'. Did you mean 'sndcgan'? Choose from sndcgan, ",
    "--loss=hing": "unknown loss 'hing'. Did you mean 'hinge'? Choose from hinge, ",
    "--strategy=miror": "unknown strategy 'miror'. Did you mean 'mirrored'? Choose from auto, ",
    "--fid_split=val": "unknown fid_split 'val'. Choose from auto, train, test.",
    "--preset=quik": "unknown preset 'quik'. Did you mean 'quick'? Choose from quick, ",
    "--num_images=10 --data_fraction=.5": "--num_images and --data_fraction exclude each other",
    "--model=sndcgan --conditional": "sndcgan knows no classes",
    "--model=biggan --fake_labels=data": "add --conditional",
    "--model=biggan --label_fraction=.1": "add --conditional. Received: --label_fraction=0.1",
    "--label_fraction=0": "--label_fraction must be above 0",
    "--augment=both": "--augment=both needs an augmentation",
    "--preset=quick --policy=none --augment=reals": "--augment=reals needs an augmentation",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(line):
    with pytest.raises(UserError) as caught:
        resolve(run(line).settings)
    assert MISTAKES[line] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("flag", ["--help", "--helpshort", "-h"])
def test_help_fits_one_screen_and_shows_every_flag_once(flag, capsys):
    with pytest.raises(SystemExit) as caught:
        run(flag)
    assert caught.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    words = [word.split("=")[0].split("[")[0] for line in lines[1:-1] for word in line.split()]
    shown = [word.removeprefix("--") for word in words if word.startswith("--")]
    shown.remove("preset")  # its own text names it again
    assert sorted(shown) == sorted([*fields(), *help_text.ACTIONS])
    assert f"--steps={Config().steps}" in " ".join(lines)


def test_full_help_gives_choices(capsys):
    with pytest.raises(SystemExit):
        run("--helpfull")
    text = capsys.readouterr().out
    assert "one of none, reals, d_only, both" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100


def test_presets_are_listed_with_what_to_expect(capsys):
    with pytest.raises(SystemExit) as caught:
        run("--preset=help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name, preset in presets.PRESETS.items():
        assert f"{preset.command}\n" in f"{text}\n"
        if not name.startswith(presets.QUICK):
            assert preset.published_fid in text
            assert preset.cost in text


def test_every_preset_is_a_valid_configuration():
    for name, preset in presets.PRESETS.items():
        given = {"dataset": "emoji"} if preset.needs else {}
        config = resolve({"preset": name, **given}).config
        for setting, value in preset.settings.items():
            assert getattr(config, setting) == value


def test_a_preset_for_images_of_ones_own_asks_for_them():
    with pytest.raises(UserError, match="--preset=stylegan2-100shot --dataset=folder:PATH"):
        resolve({"preset": "stylegan2-100shot"})
    assert not presets.get("quick-stylegan2-100shot").needs


def test_every_field_explains_itself():
    for name, field in fields().items():
        assert field.metadata["text"], name
    assert dataclasses.fields(Config)
