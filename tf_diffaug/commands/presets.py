"""Named recipes, by name: what `--preset` takes. `preset_values` and `later_presets` have them."""

from __future__ import annotations

from tf_diffaug.commands.later_presets import LATER, r3gan_schedules
from tf_diffaug.commands.preset_values import FIRST_PAPER, SECOND_PAPER, Preset
from tf_diffaug.errors import UserError
from tf_diffaug.naming import nearest

QUICK = "quick-"
_FULL = (*SECOND_PAPER, *FIRST_PAPER, *LATER)
_OWN_FID = "none: its FID is on our own small features"

# What a twin changes: small enough for two CPU cores, features that need no download.
_SLIM = """width=16 batch_size=32 fid_features=emoji-cnn num_fakes=2_000 log_every=50
    sample_every=250 eval_every=250 checkpoint_every=250 strategy=auto
    ema_decay=0.999 ema_half_life=none ema_start=0 ema_ramp=0.25 eval_ema=true """
_SLIM_FAMILY = {
    # The moving averages of batch norm are those of G, and the twin evaluates G's average.
    "sndcgan": "steps=3_000 latent_dim=128 eval_batch_norm=standing",
    "biggan": "steps=600 latent_dim=32 d_steps=2",
    "stylegan2": "steps=1_500 latent_dim=64 model='stylegan2(w_dim=64)'",
    # Its schedules go with the run: 1,500 steps of 32 images.
    "r3gan": f"steps=1_500 {r3gan_schedules('48e3')}",
    "fastgan": "steps=1_000 latent_dim=64 eval_batch_norm=standing",
}


def _twin(preset: Preset) -> Preset:
    """The same recipe slim and short; what needs images of the user's own takes the emoji."""
    family = next(family for family in _SLIM_FAMILY if preset.name.startswith(family))
    words = f"{preset.words} {_SLIM} {_SLIM_FAMILY[family]}"
    if preset.needs:
        words = words.replace("attention=64", "attention=16")
        words += " dataset=emoji resolution=32 fid_split=auto flip=false"
    return Preset(
        QUICK + preset.name,
        f"{preset.summary}: slim and short",
        words,
        f"{preset.name} at a width of 16",
        "minutes on 2 CPU cores (4 to 11 for four of them, on a busy machine)",
        _OWN_FID,
    )


_EMOJI = Preset(
    "quick",
    "DiffAugment on the embedded emoji faces: slim SNDCGAN, 32 px, all offline",
    "policy=color,translation,cutout",
    "our own, tuned to show faces within minutes",
    "4 to 6 minutes on 2 CPU cores (measured)",
    _OWN_FID,
)
PRESETS = {preset.name: preset for preset in (_EMOJI, *_FULL, *map(_twin, _FULL))}


def get(name: str) -> Preset:
    """Returns a preset by name.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in PRESETS:
        match = nearest(name, PRESETS)
        hint = f" Did you mean {match!r}?" if match else ""
        names = ", ".join(preset.name for preset in (_EMOJI, *_FULL))
        raise UserError(
            f"unknown preset {name!r}.{hint} Choose from {names}, or {QUICK}NAME for a slim and "
            "short one. --preset=help describes them."
        )
    return PRESETS[name]


def describe() -> str:
    """The text of `--preset=help`; a twin is a line of its original's."""
    blocks = []
    for preset in (_EMOJI, *_FULL):
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
