"""Named recipes, by name: what `--preset` takes. Their values are in `preset_values`."""

from __future__ import annotations

from tf_diffaug.commands.preset_values import FULL, Preset
from tf_diffaug.errors import UserError
from tf_diffaug.naming import nearest

QUICK = "quick-"

# What a twin changes: small enough for two CPU cores, features that need no download.
_SLIM = {
    "width": 16,
    "batch_size": 32,
    "fid_features": "emoji-cnn",
    "num_fakes": 2_000,
    "log_every": 50,
    "sample_every": 250,
    "eval_every": 250,
    "checkpoint_every": 250,
    "ema_start": 0,
    "ema_ramp": 0.25,
    "strategy": "auto",
}
_SLIM_MODEL = {
    # The moving averages of batch norm are those of G, and the twin evaluates G's average.
    "sndcgan": {"steps": 3_000, "latent_dim": 128, "eval_batch_norm": "standing"},
    "biggan": {"steps": 600, "latent_dim": 32, "d_steps": 2},
    "stylegan2": {"steps": 1_500, "latent_dim": 64, "model": "stylegan2(w_dim=64)"},
}


def _twin(preset: Preset) -> Preset:
    """The same recipe slim and short; what needs images of the user's own takes the emoji."""
    family = preset.settings["model"].split("(")[0]
    settings = {**preset.settings, **_SLIM, **_SLIM_MODEL[family]}
    settings["ema_decay"], settings["ema_half_life"], settings["eval_ema"] = 0.999, None, True
    if preset.needs:
        settings |= {"dataset": "emoji", "resolution": 32, "fid_split": "auto", "flip": False}
        settings["model"] = settings["model"].replace("attention=64", "attention=16")
    return Preset(
        name=QUICK + preset.name,
        summary=f"{preset.summary}: slim and short",
        settings=settings,
        source=f"{preset.name} at a width of {settings['width']}",
        cost="minutes on 2 CPU cores (4 to 11 for four of them, on a busy machine)",
        published_fid="none: its FID is on our own small features",
    )


_EMOJI = Preset(
    name="quick",
    summary="DiffAugment on the embedded emoji faces: slim SNDCGAN, 32 px, all offline",
    settings={"policy": "color,translation,cutout"},
    source="our own, tuned to show faces within minutes",
    cost="4 to 6 minutes on 2 CPU cores (measured)",
    published_fid="none: its FID is on our own small features",
)
PRESETS = {preset.name: preset for preset in (_EMOJI, *FULL, *map(_twin, FULL))}


def get(name: str) -> Preset:
    """Returns a preset by name.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in PRESETS:
        match = nearest(name, PRESETS)
        hint = f" Did you mean {match!r}?" if match else ""
        names = ", ".join(preset.name for preset in (_EMOJI, *FULL))
        raise UserError(
            f"unknown preset {name!r}.{hint} Choose from {names}, or {QUICK}NAME for a slim and "
            "short one. --preset=help describes them."
        )
    return PRESETS[name]


def describe() -> str:
    """The text of `--preset=help`; a twin is a line of its original's."""
    blocks = []
    for preset in (_EMOJI, *FULL):
        lines = [
            f"{preset.name}: {preset.summary}",
            f"    source         {preset.source}",
            f"    expected cost  {preset.cost}",
            f"    published FID  {preset.published_fid}",
            f"    command        {preset.command}",
        ]
        if (twin := PRESETS.get(QUICK + preset.name)) is not None:
            lines.append(f"    slim and short {twin.command}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
