"""The page of a run: what is on it, from the run's files alone, and how it works in a browser."""

import dataclasses
import html.parser
import importlib
import json
import pathlib
import shlex

import numpy as np
import pytest

from tests.reports import PROTOCOL, browser, evaluation, open_page, wait_for, write_run, write_sheet
from tf_diffaug.commands import train
from tf_diffaug.errors import UserError
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.report import words, write_report
from tf_diffaug.runs.report.records import read_records

EVIL = "<xmp onclick=alert(1)>&amp;</xmp></script>"
TEXTS = """
const texts = (node) => [...node.children].flatMap((child) =>
  [...(child.shadowRoot ? texts(child.shadowRoot) : []), ...texts(child),
   ...(child.classList.contains("bk-tooltip-row-label") ||
       child.classList.contains("bk-tooltip-row-value") ? [child.textContent.trim()] : [])])
return texts(document.body)
"""


class Page(html.parser.HTMLParser):
    """The tags, texts and addresses of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses, self.texts = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if self.tags and self.tags[-1] not in ("script", "style"):
            self.texts.append(data)


def report(folder, *runs, **options):
    return Page(write_report(runs, folder / "page.html", **options))


def test_a_page_is_one_small_file_that_asks_for_nothing(tmp_path):
    run = write_run(tmp_path / "run", evaluations=[evaluation()])
    path = write_report(run)
    assert path == run / "report.html"
    assert path.stat().st_size < 2_000_000
    page = Page(path)
    assert page.addresses
    assert all(address.startswith("data:") for address in page.addresses)
    for part in (
        "FID 61.25 ± 0.5",
        "KID 0.5",
        "new 7",
        "AuthPct no sign of copying",
        "Measured on emoji-cnn features, 20 fakes, 130 train images",
        "mean and deviation over 3 draws of fakes",
        "emoji_faces at 32 px, all 130 images.",
        "python -m tf_diffaug evaluate",
        "There is no policy: images are not augmented.",
    ):
        assert part in page.text
    assert page.text.index("FID 61.25") < page.text.index("KID 0.5")


def test_markup_in_names_stays_text(tmp_path):
    run = write_run(
        tmp_path / EVIL.replace("/", "\N{DIVISION SLASH}"),
        dataset=f"folder:{EVIL}",
        model="biggan",
        conditional=True,
        facts={"class_names": [EVIL, "b"], "label_counts": [60, 70]},
        evaluations=[evaluation(readings={EVIL: EVIL}, classes={EVIL: {"fid": {"mean": 3.0}}})],
    )
    other = write_run(tmp_path / "other")
    for runs in ([run], [run, other]):
        page = report(tmp_path, *runs)
        assert "xmp" not in page.tags
        assert page.tags.count("script") == 3
        assert page.text.count(EVIL) >= 4
        assert f"{EVIL} FID 3" in page.text


@pytest.mark.parametrize("steps", [(), (10,)], ids=["nothing yet", "one step"])
def test_a_young_run_has_a_page(tmp_path, steps):
    page = report(tmp_path, write_run(tmp_path / "run", steps=steps))
    if steps:
        assert "This is" not in page.text
        assert "has not measured this run yet: this is the FID of training" in page.text
    else:
        for text in ("No samples were written yet.", "Not evaluated yet.", "Nothing was recorded"):
            assert text in page.text


def test_several_runs_are_told_apart_first(tmp_path):
    one = write_run(tmp_path / "a" / "run", evaluations=[evaluation()])
    other_protocol = {**PROTOCOL, "num_fakes": 50}
    other = write_run(
        tmp_path / "b" / "run", seed=3, evaluations=[evaluation(protocol=other_protocol)]
    )
    page = report(tmp_path, one, other)
    runs = read_records([one, other])
    assert [run.name for run in runs] == [str(one), str(other)]
    assert words.differences(runs) == [words.Row("seed", ["0", "3"])]
    assert page.text.index("What differs") < page.text.index("Samples through time")
    assert "do not compare. Measurements that differ in num_fakes" in page.text
    shared = {row.subject: len(row.cells) for row in words.recipes(runs)}
    assert shared["Networks"] == 1
    assert shared["Training"] == 2
    with pytest.raises(ValueError, match="needs `out`"):
        write_report([one, other])


def test_augmented_images_are_shown_or_why_not(tmp_path, rng):
    run = write_run(tmp_path / "run", policy="color,cutout", augment="both")
    page = report(tmp_path, run)
    assert "The training images could not be had:" in page.text
    assert "was trained on other images" in page.text
    images = rng.integers(0, 256, (5, 8, 8, 3), np.uint8)
    page = report(tmp_path, run, images=images)
    assert "augmented by color,cutout , four draws" in page.text
    assert page.tags.count("img") == 3 + 5 * (1 + 4)


def test_nearest_images_are_a_sheet_that_is_there_or_a_way_to_it(tmp_path):
    run = write_run(tmp_path / "run")
    assert f"generate {run} --what=nearest" in report(tmp_path, run).text
    page = report(tmp_path, run, nearest=True)
    assert "has no checkpoint" in page.text
    write_sheet(run / "generated" / "step-30-seed-0" / "nearest.png", 0)
    assert "(step-30-seed-0)" in report(tmp_path, run, nearest=True).text


@pytest.mark.parametrize(
    "settings",
    [
        {"flip": False, "num_images": 16, "dataset": "folder:a b/'c'"},
        {"policy": "color,cutout:0.25", "augment": "both", "regularizers": "r1(weight=10)"},
        {"preset": "quick-biggan-cifar10", "truncation": 0.5, "deterministic": False},
    ],
)
def test_the_command_has_every_setting(settings):
    config = Config(**settings)
    line = words.train_command(config, run_dir="runs/a b")
    program = ["python", "-m", "tf_diffaug", "train"]
    assert shlex.split(line)[:4] == program
    read = train.read(shlex.split(line)[4:]).config
    assert read == dataclasses.replace(config, run_dir="runs/a b", preset=None)


def test_every_command_of_the_page_is_read(tmp_path):
    evaluated = evaluation(classes={"a": {"fid": {"mean": 3.0}}})
    run = write_run(tmp_path / "a run", evaluations=[evaluated])
    records = read_records([run, run])
    lines = [line for _, line in words.commands(records[0])]
    lines += [words.page_command(records[:1], "x.html"), words.page_command(records, "x.html")]
    read = {}
    for line in lines:
        *program, name = shlex.split(line)[:4]
        assert program == ["python", "-m", "tf_diffaug"]
        command = importlib.import_module(f"tf_diffaug.commands.{name}")
        read[name] = command.read(shlex.split(line)[4:])
    assert set(read) == {"train", "evaluate", "generate", "export", "report"}
    assert read["train"].config.run_dir == f"{run}-again"
    asked = read["evaluate"]
    assert (asked.checkpoint, asked.num_fakes, asked.fid_split) == ("30", 20, "train")
    assert (asked.seed, asked.seeds, asked.per_class) == (0, 3, True)
    assert asked.fid_features == "emoji-cnn"
    assert (read["report"].run_dirs, read["report"].out) == ((run, run), pathlib.Path("x.html"))


def test_weights_that_a_run_began_with_are_told(tmp_path):
    started = {"source": "runs/before", "step": 7, "fingerprint": "ab", "layers": 17}
    settings = {"init_from": "runs/before", "init_partly": True, "freeze_d": 2}
    tuned = write_run(tmp_path / "tuned", initial={**started, "fresh": ["G: dense"]}, **settings)
    fresh = write_run(tmp_path / "fresh")
    page = report(tmp_path, tuned, fresh)
    for part in (
        "Starting from the weights of runs/before, step 7: 17 layers; G: dense fresh.",
        "D's first 2 blocks are kept as they were (FreezeD)",
        "weights drawn from the seed.",
        "weights at the start weights 1 none",
    ):
        assert part in page.text
    (records,) = read_records([tuned])
    read = train.read(shlex.split(words.commands(records)[0][1])[4:]).config
    assert (read.init_from, read.init_checkpoint) == ("runs/before", "7")
    assert (read.init_partly, read.freeze_d) == (True, 2)
    assert "Start" not in report(tmp_path, fresh).text


def test_a_folder_that_is_no_run_is_said(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, False), (390, True)], ids=["desktop", "dark phone"]
)
def test_a_browser_shows_values_and_moves_through_time(tmp_path, width, dark):
    name = "<b>run</b>" * 3
    run = write_run(tmp_path / name.replace("/", "\N{DIVISION SLASH}"), evaluations=[evaluation()])
    other = write_run(tmp_path / "other", seed=1, steps=(20, 40))
    path = write_report([run, other], tmp_path / "page.html")
    with browser(width, dark=dark) as opened:
        from selenium.webdriver import ActionChains, Keys

        open_page(opened, path)
        # Nothing is cut off at the right; a scroll bar may take a part of the width.
        wide = "const {scrollWidth, clientWidth} = document.documentElement"
        wide += "; return scrollWidth - clientWidth"
        assert opened.execute_script(wide) == 0
        assert width - 20 <= opened.execute_script("return innerWidth") <= width

        shown = "return [...document.querySelectorAll('.frames img:not([hidden])')]"
        shown += ".map((image) => image.dataset.step)"
        assert opened.execute_script(shown) == ["30", "40"]
        time = opened.find_element("id", "time")
        time.send_keys(Keys.HOME)
        assert opened.execute_script(shown) == ["10", "20"]
        time.send_keys(Keys.RIGHT, Keys.RIGHT)
        assert opened.execute_script(shown) == ["30", "20"]
        assert opened.find_element("id", "step").text == "step 30"

        # The second chart has the losses; its middle is nearest to step 20 or 30.
        chart = opened.find_elements("css selector", ".plot")[1]
        opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
        ActionChains(opened).move_to_element_with_offset(chart, -10, 0).perform()
        texts = wait_for(lambda: opened.execute_script(TEXTS))
        assert "1.25" in texts
        assert {"2.5", "3.75"} & set(texts)
        curve = opened.find_element("css selector", ".legend button")
        curve.click()
        assert curve.get_attribute("aria-pressed") == "false"

        background = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"
        assert (int(opened.execute_script(background)) < 128) == dark
        errors = [one for one in opened.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]
        assert errors == []


def test_markup_in_names_of_curves_is_not_run(tmp_path):
    evil = "<img src=x onerror=\"document.body.dataset.owned='yes'\">"
    run = write_run(tmp_path / evil.replace("/", "\N{DIVISION SLASH}"), steps=())
    names = (evil, "x}{safe}" + evil, "$$\\href{javascript:1}{a}$$")
    records = [
        {"step": step, "kind": kind, **dict.fromkeys(names, step / 2)}
        for step in (1, 2, 3)
        for kind in ("train", "eval")
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    other = write_run(tmp_path / "other")
    path = write_report([run, other], tmp_path / "page.html")
    with browser() as opened:
        from selenium.webdriver import ActionChains

        open_page(opened, path)
        charts = opened.find_elements("css selector", ".chart .plot")
        assert len(charts) > 2 * len(names)
        for chart in charts:
            opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
            ActionChains(opened).move_to_element(chart).pause(0.2).perform()
        assert opened.execute_script("return document.body.dataset.owned") is None
        elements = "return document.querySelectorAll('img[onerror], [href^=javascript]').length"
        assert opened.execute_script(elements) == 0
