"""The recipes of the papers: data, each value with its source.

`[V]` was read in the published code or text, `[F]` off a figure; `[R]` is recalled and could not be
checked. A preset says what it should cost and reach, so that a run can be held against it, and has
a `quick-` twin: the same recipe slim and short, for two CPU cores.
"""

from tf_diffaug.commands.preset_values.base import Preset
from tf_diffaug.commands.preset_values.first_paper import FIRST_PAPER
from tf_diffaug.commands.preset_values.second_paper import SECOND_PAPER

__all__ = ["FULL", "Preset"]

FULL = [*SECOND_PAPER, *FIRST_PAPER]
