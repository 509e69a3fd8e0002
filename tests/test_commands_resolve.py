"""The order of the layers, the table, run directories and what a resume may change."""

import dataclasses
import json

import pytest

from tf_diffaug.commands import presets
from tf_diffaug.commands.resolve import as_flags, resolve, table
from tf_diffaug.errors import UserError
from tf_diffaug.runs import saved as runs
from tf_diffaug.runs.config import Config, checked_settings, fields
from tf_diffaug.runs.recipe import settle
from tf_diffaug.runs.settings import shown


def save(run_dir, **settings):
    run_dir.mkdir(parents=True, exist_ok=True)
    config = settle(Config(**settings)).config
    contents = {"settings": dataclasses.asdict(config), "data": {}, "versions": {}}
    (run_dir / "config.json").write_text(json.dumps(contents))


def resume(run_dir, **given):
    config = settle(resolve({"run_dir": str(run_dir), **given})[0]).config
    runs.refuse_other_settings(run_dir, runs.read_saved(run_dir)["settings"], config)


def test_flags_beat_the_preset_which_beats_the_defaults():
    config, origins = resolve({"preset": "sndcgan-cifar10", "width": 8})
    assert config.width == 8
    assert config.dataset == "cifar10"
    assert config.seed == Config().seed
    assert origins["width"] == "flag"
    assert origins["dataset"] == "preset sndcgan-cifar10"
    assert origins["seed"] == "default"


def test_no_policy_beats_a_presets():
    assert resolve({"preset": "quick"})[0].policy == "color,translation,cutout"
    assert resolve({"preset": "quick", "policy": "none"})[0].policy == "none"


def test_the_table_shows_what_differs_and_the_essentials():
    text = table(*resolve({"preset": "quick", "seed": 3}))
    rows = {line.split()[0]: line for line in text.splitlines()}
    assert rows["policy"].endswith("color,translation,cutout  [preset quick]")
    assert rows["seed"].split() == ["seed", "3", "[flag]"]
    assert rows["dataset"].endswith("[default]")
    assert "beta1" not in rows


def test_a_configuration_survives_json():
    config = Config(policy="color", augment="reals", ema_half_life=10.0, flip=False)
    text = json.dumps(dataclasses.asdict(config))
    assert Config(**checked_settings(json.loads(text), "config.json")) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 5}, "Unknown setting 'step'. Did you mean 'steps'?"),
        ({"steps": "5"}, "steps is a whole number. Received: steps='5'."),
        ({"g_lr": [1]}, "g_lr is a number, linear(start, end, images=N) or cosine("),
        ({"steps": True}, "steps is a whole number. Received: steps=True."),
        ({"flip": 1}, "flip is true or false"),
        ({"seed": None}, "seed is a whole number. Received: seed=None."),
    ],
)
def test_a_file_of_settings_is_checked(settings, message):
    with pytest.raises(UserError, match=r"config\.json: ") as caught:
        checked_settings(settings, "config.json")
    assert message in str(caught.value)


def test_a_whole_number_serves_as_a_number():
    assert checked_settings({"beta1": 0}, "config.json") == {"beta1": 0}


def test_a_resumed_run_keeps_its_schedules(tmp_path):
    saved = dataclasses.asdict(Config(g_lr="cosine(0.0002, 5e-05, images=2e+07)"))
    assert checked_settings(saved, "config.json") == saved
    wanted = Config(**saved)
    runs.refuse_other_settings(tmp_path, saved, wanted)
    other = dataclasses.replace(wanted, g_lr=2e-4)
    message = r"--g_lr=0.0002 \(saved: cosine\(0.0002, 5e-05, images=2e\+07\)\)"
    with pytest.raises(UserError, match=message):
        runs.refuse_other_settings(tmp_path, saved, other)


def test_a_directory_is_named_after_its_recipe():
    config = Config(policy="color,cutout", augment="both", seed=7)
    name = runs.default_directory(config).as_posix()
    assert name.startswith("runs/emoji_faces-32px-sndcgan-w16-color+cutout-both-s7-")
    for change in ({"seed": 8}, {"g_lr": 1e-3}, {"policy": "color"}, {"num_fakes": 100}):
        assert runs.default_directory(dataclasses.replace(config, **change)).as_posix() != name
    for change in ({"steps": 9}, {"log_every": 9}, {"preset": "quick"}, {"data_dir": "/d"}):
        assert runs.default_directory(dataclasses.replace(config, **change)).as_posix() == name


def test_a_directory_says_what_share_of_the_labels_is_known():
    config = Config(model="biggan", conditional=True, label_fraction=0.1, regularizers="s3gan")
    name = runs.default_directory(config).as_posix()
    assert name.startswith("runs/emoji_faces-32px-biggan-w16-cond-10pctlabels-s3gan-s0-")


@pytest.mark.parametrize(
    "dataset", ["folder:/home/a/my cats/", "folder:..", "folder:/", "packed:/x/y z"]
)
def test_a_directory_has_a_safe_name(dataset):
    path = runs.default_directory(Config(dataset=dataset, regularizers="r1(weight=10, on='raw')"))
    assert len(path.parts) == 2
    assert set(path.name) <= set("abcdefghijklmnopqrstuvwxyzR0123456789_.+-")
    assert not path.name.startswith(".")
    assert len(path.name) < 100


def test_naming_a_run_resumes_it_with_its_own_settings(tmp_path):
    save(tmp_path, policy="color", augment="both", steps=70, log_every=7)
    config, origins = resolve({"run_dir": str(tmp_path), "steps": 90})
    assert config.policy == "color"
    assert config.log_every == 7
    assert config.steps == 90
    assert config.run_dir == str(tmp_path)
    assert origins["policy"] == "saved run"


def test_what_may_change_is_steps_cadences_and_places():
    locked = Config().lasting()
    changeable = {field.name for field in dataclasses.fields(Config)} - set(locked) - {"preset"}
    assert changeable == {
        "steps",
        "run_dir",
        "data_dir",
        "skip_broken",  # whatever it changes of the images, their fingerprint tells
        "log_every",
        "sample_every",
        "eval_every",
        "checkpoint_every",
        "keep_checkpoints",
        "report",
        "metrics",
    }


def test_other_settings_are_refused_by_name(tmp_path):
    save(tmp_path, seed=3)
    with pytest.raises(UserError) as caught:
        resume(tmp_path, seed=4, width=8, steps=10)
    message = str(caught.value)
    assert "--width=8 (saved: 16), --seed=4 (saved: 3)" in message
    assert "--steps" not in message
    assert "\n" not in message


def test_a_preset_is_held_against_the_saved_run(tmp_path):
    save(tmp_path)
    with pytest.raises(UserError, match=r"--dataset=cifar10 \(saved: emoji_faces\)"):
        resume(tmp_path, preset="quick-sndcgan-cifar10")


def test_a_folder_of_images_may_lie_elsewhere(tmp_path):
    save(tmp_path, dataset="folder:here")
    resume(tmp_path, dataset="folder:./there")
    with pytest.raises(UserError, match="--dataset=cifar10"):
        resume(tmp_path, dataset="cifar10")


def test_an_unnamed_run_has_one_folder_however_the_path_is_spelt(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spellings = ("folder:cats", "folder:./cats/", f"folder:{tmp_path}/cats", "folder:x/../cats")
    assert len({runs.default_directory(Config(dataset=text)) for text in spellings}) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"settings": 3}', '{"settings": {"stepz": 1}}'])
def test_a_damaged_configuration_is_one_line(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json") as caught:
        resolve({"run_dir": str(tmp_path)})
    assert "\n" not in str(caught.value)


def test_a_new_directory_starts_a_run(tmp_path):
    assert resolve({"run_dir": str(tmp_path / "new")})[1]["policy"] == "default"


def test_versions_that_changed_are_named():
    saved = {"python": "3.10.1", "keras": "2.15.0"}
    assert runs.version_changes(saved, saved) is None
    line = runs.version_changes(saved, {"python": "3.11.2", "keras": "2.15.0"})
    assert "python 3.10.1 -> 3.11.2" in line
    assert "keras" not in line


def test_every_preset_is_shown_and_saved_as_it_is():
    for name, preset in presets.PRESETS.items():
        given = {"dataset": "emoji"} if preset.needs else {}
        config, origins = resolve({"preset": name, **given})
        assert table(config, origins).count("\n") >= 6
        settings = dataclasses.asdict(config)
        assert checked_settings(settings, "config.json") == settings


@pytest.mark.parametrize(("value", "typed"), [(1.0, "1"), (2e-4, "0.0002"), (1.23456789e-4, None)])
def test_a_number_is_shown_as_it_is(value, typed):
    assert shown(fields()["g_lr"], value) == (typed or repr(value))


MESSAGES = {
    "Unknown loss 'hing'. Received: loss='hing'.": "Unknown loss 'hing'. Received: --loss=hing.",
    "Two are bad; skip_broken leaves them out. Received: name='folder:x', resolution=64.": (
        "Two are bad; --skip_broken leaves them out. Received: --dataset=folder:x, --resolution=64."
    ),
    "No such features. Received: features='cnn'.": (
        "No such features. Received: --fid_features=cnn."
    ),
    "Choose others, as in `features=none`. Received: features='cnn'.": (
        "Choose others, as in --fid_features=none. Received: --fid_features=cnn."
    ),
    "`fit=pad` or `fit=enlarge` takes small ones. Received: resolution=64.": (
        "--fit=pad or --fit=enlarge takes small ones. Received: --resolution=64."
    ),
    "Unknown metric 'fda'. Received: metrics='fid,fda'.": (
        "Unknown metric 'fda'. Received: --metrics=fid,fda."
    ),
    "/home/me/data_dir/a is no batch. Received: data=3, labels=int64(2,).": (
        "/home/me/data_dir/a is no batch. Received: data=3, labels=int64(2,)."
    ),
    "They have no labels. Received: labels=True.": (
        "They have no labels. Received: --conditional=True."
    ),
    "cutout: 0 to 1. Received: strength=2.": "cutout: 0 to 1. Received: strength=2.",
    "Received: policy='a,b', num_images=9.": "Received: --policy=a,b, --num_images=9.",
}


@pytest.mark.parametrize("text", MESSAGES)
def test_messages_of_the_library_name_flags_as_they_were_typed(text):
    config = Config(
        loss="hing",
        dataset="folder:x",
        resolution=64,
        fid_features="cnn",
        policy="a,b",
        num_images=9,
        metrics="fid,fda",
    )
    assert as_flags(config, text) == MESSAGES[text]
