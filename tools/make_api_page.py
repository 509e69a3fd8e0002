"""Writes docs/api.md: every public name with the first line of its documentation.

python tools/make_api_page.py
"""

from __future__ import annotations

import importlib
import inspect
import os
import pathlib
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "api.md"
# What each module is for, in the order in which a reader meets them.
MODULES = {
    "tf_diffaug": "what most programs need",
    "tf_diffaug.augment": "augmentations: layers, policies, ops of your own",
    "tf_diffaug.models": "the networks",
    "tf_diffaug.layers": "what the networks are made of",
    "tf_diffaug.training": "the GAN and its choices",
    "tf_diffaug.data": "images, from names and folders to batches",
    "tf_diffaug.evaluation": "FID and other measures",
    "tf_diffaug.evaluation.metrics": "metrics of features, and a metric of your own",
    "tf_diffaug.runs": "what a run writes, and how to take it up again",
    "tf_diffaug.runs.generate": "pictures of a finished run",
    "tf_diffaug.runs.report": "one page to look at runs",
    "tf_diffaug.runs.export": "a finished run as files that others load",
}


def api_page() -> str:
    """The page as Markdown."""
    lines = [
        "# Public names",
        "",
        "One line each; `help(name)` says the rest. `tools/make_api_page.py` writes this page.",
    ]
    for module, purpose in MODULES.items():
        members = importlib.import_module(module)
        lines += ["", f"## `{module}`: {purpose}", "", "| name | |", "|---|---|"]
        lines += [f"| `{name}` | {summary(getattr(members, name))} |" for name in members.__all__]
    return "\n".join(lines) + "\n"


def summary(member: Any) -> str:
    """The first line of a name's documentation; of a constant, what it holds."""
    if isinstance(member, (dict, tuple)):
        return ", ".join(f"`{key}`" for key in member)
    return inspect.getdoc(member).splitlines()[0].replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(api_page(), encoding="utf-8")
