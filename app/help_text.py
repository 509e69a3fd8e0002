"""The text of `--help`: one screen, grouped, with the defaults."""

from __future__ import annotations

import textwrap
from typing import Any

from app.config import Config, fields, unset_words

ACTIONS = {
    "explain": (bool, "say in words what would run, and stop"),
    "dry_run": (bool, "build it, try a step, estimate the time, and stop"),
    "preview": (str, "draw T on your images (preview.png), and stop"),
}

# One row a line: flags that belong together share one. None: each flag's own text.
_LAYOUT: dict[str, list[tuple[tuple[str, ...], str | None]]] = {
    "Recipe": [
        (("preset",), "a recipe to start from; --preset=help lists them"),
        (("policy",), None),
        (("augment",), "where T stands: none, reals, d_only, both"),
        (("regularizers",), None),
    ],
    "Images": [
        (("dataset",), None),
        (("data_dir",), None),
        (("resolution", "flip"), "pixels a side; flips of the reals (auto: by dataset)"),
        (("skip_broken",), "leave broken image files out and count them"),
        (("num_images", "data_fraction"), "train on part of the images"),
        (("subset", "data_seed"), "how it is drawn: random, paper, balanced"),
    ],
    "Networks": [
        (("model", "width", "latent_dim"), "biggan, stylegan2; channels; length of z"),
        (("conditional", "fake_labels"), "train with labels; fakes': uniform, data"),
        (("label_fraction",), None),
    ],
    "Training": [
        (("steps", "batch_size", "d_steps"), "D steps are per G step"),
        (("loss", "views"), "non_saturating, wasserstein; joint, separate"),
        (("g_lr", "d_lr"), "Adam's learning rates"),
        (("beta1", "beta2"), "Adam's decays"),
        (("ema_decay", "ema_start"), "average of G's weights, a step; decay 0: none"),
        (("ema_half_life", "ema_ramp"), "in images; at most this share of the run so far"),
        (("seed", "deterministic"), "the same command gives the same bits"),
        (("strategy",), "auto, one_device, mirrored, multi_worker or tpu"),
    ],
    "Written (every so many G steps; 0: only at the end)": [
        (("run_dir",), None),
        (("log_every", "sample_every"), "metrics; sample grids"),
        (("eval_every", "checkpoint_every"), "FIDs; checkpoints"),
        (("keep_checkpoints",), "the newest are kept, and the best by FID"),
    ],
    "Evaluation": [
        (("fid_features",), None),
        (("num_fakes", "fid_split", "truncation"), "reals: auto, train, test; z or psi"),
        (("eval_batch_norm", "eval_ema"), "moving, batch, standing; the averaged G"),
    ],
    "Instead of training": [
        (("explain",), None),
        (("dry_run",), None),
        (("preview",), None),
    ],
}
_TITLE = "Trains a GAN on few images. Try: python train.py --policy=color,translation,cutout"
_COLUMN = 43
_END = "A flag beats the preset, which beats the default shown. --helpfull says more on each flag."


def short() -> str:
    """The text of `--help` and `--helpshort`: at most 45 lines of 100 columns."""
    lines = [_TITLE]
    for group, rows in _LAYOUT.items():
        lines.append(f"{group}:")
        for names, text in rows:
            flags = " ".join(_with_default(name) for name in names)
            text = " / ".join(_text(name) for name in names) if text is None else text
            lines.append(f"  {flags:<{_COLUMN}} {text}".rstrip())
    lines.append(_END)
    return "\n".join(lines)


def full() -> str:
    """The text of `--helpfull`: a paragraph a flag."""
    lines = [_TITLE, ""]
    for name in [*fields(), *ACTIONS]:
        lines.append(f"  {_with_default(name)}")
        rules = fields()[name].metadata if name in fields() else {}
        text = _text(name)
        if rules.get("choices"):
            text += f" (one of {', '.join(rules['choices'])})"
        if rules.get("changeable"):
            text += "; may change when a run is resumed"
        lines += textwrap.wrap(text, 90, initial_indent=" " * 6, subsequent_indent=" " * 6)
    lines.append("  --flagfile=FILE\n      more flags, one a line")
    return "\n".join(lines)


def shown(name: str, value: Any) -> str:
    """A setting's value as a person would type it."""
    if value is None:
        return unset_words(name)[0]
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_default(name: str) -> str:
    if name in ACTIONS:
        return "--preview[=PATH]" if name == "preview" else f"--{name}"
    return f"--{name}={shown(name, getattr(Config(), name))}"


def _text(name: str) -> str:
    return ACTIONS[name][1] if name in ACTIONS else fields()[name].metadata["text"]
