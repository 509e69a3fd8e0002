"""Folders of runs as training leaves them, written by hand, and a browser to look at reports."""

import contextlib
import dataclasses
import json
import pathlib
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from tf_diffaug.runs.config import Config

PROTOCOL = {
    "features": {"name": "emoji-cnn", "version": "1"},
    "num_fakes": 20,
    "num_reals": 130,
    "split": "train",
    "ema": True,
    "batch_norm": "moving",
    "labels": "none",
    "truncation": None,
}


def write_run(folder, *, steps=(10, 20, 30), facts=None, initial=None, evaluations=(), **settings):
    """A run of the embedded faces, with records and samples at these steps."""
    own = {"augment": "none", "width": 4, "steps": 30, "run_dir": str(folder)}
    config = Config(**{**own, **settings})
    folder.mkdir(parents=True)
    data = {"name": config.dataset, "num_images": 130, "num_test": 0, "fingerprint": "1"}
    saved = {
        "settings": dataclasses.asdict(config),
        "data": {**data, "channels": 3, "flip": False, **(facts or {})},
        "versions": {"python": "3.11.7", "tensorflow": "2.15.1"},
    }
    if initial is not None:
        saved["initial_weights"] = initial
    (folder / "config.json").write_text(json.dumps(saved))
    (folder / "metrics.jsonl").write_text("".join(map(_lines, steps)))
    text = "".join(json.dumps(record) + "\n" for record in evaluations)
    if text:
        (folder / "evaluations.jsonl").write_text(text)
    for step in steps:
        write_sheet(folder / "samples" / f"{step:07d}.png", step)
    return folder


def _lines(step):
    train = {
        "step": step,
        "kind": "train",
        "d_loss": 1.25,
        "g_loss": step / 8,
        "d_real": 1.5,
        "d_fake": -0.5,
        "r_t": 0.75,
        "images_per_second": 100.0,
    }
    evaluated = {"step": step, "kind": "eval", "fid": 100.0 - step, "protocol": PROTOCOL}
    return "".join(json.dumps(record) + "\n" for record in (train, evaluated))


def write_sheet(path, seed, *, scale=2, size=(16, 24)):
    """Noise, each pixel so many pixels wide."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.repeat(scale, 0).repeat(scale, 1)).save(path)
    return pixels


def evaluation(step=30, **changes):
    """A record of the command `evaluate`."""
    record = {
        "kind": "evaluation",
        "step": step,
        "values": {"kid": {"mean": 0.5}, "fid": {"mean": 61.25, "std": 0.5}, "new": {"mean": 7.0}},
        "readings": {"auth_pct": "no sign of copying"},
        "protocol": {**PROTOCOL, "step": step, "seeds": [0, 1, 2]},
        "unknown": [1],
    }
    return {**record, **changes}


@contextlib.contextmanager
def browser(width=1280, height=1000, *, dark=False):
    """Chromium without a window; the test is skipped where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        # Whatever the page asks a network for, it does not get.
        opened.execute_cdp_cmd("Network.enable", {})
        opened.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["http://*", "https://*"]})
        yield opened
    finally:
        opened.quit()


def open_page(opened, path):
    """Opens a page and waits until its charts are drawn."""
    opened.get(pathlib.Path(path).resolve().as_uri())
    wait_for(lambda: opened.execute_script("return document.body.hasAttribute('data-drawn')"))


def wait_for(condition, seconds=30):
    """Returns what the condition says as soon as that is something."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "the page never got so far"
        time.sleep(0.05)
    return found
