"""Box plots of the overlap of supports; needs Matplotlib (`pip install tf-diffaug[plots]`)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "plots need Matplotlib: pip install matplotlib", name=error.name
    ) from error

_COLUMNS = 4
_PANEL = (2.7, 2.4)  # inches
_MARGIN = 1.1  # inches above the panels, for the title
_DPI = 150
_COLOUR = "#1f5fa8"


def draw_overlap(
    panels: Mapping[str, Mapping[float, Sequence[float]]], *, title: str, note: str = ""
) -> bytes:
    """Returns a PNG: one panel an op, in it a box a strength over the repeats' ratios.

    Args:
        panels: by op, then by strength, the ratios; one op and strength at least.
        title: above all panels.
        note: below the title, in small print: how it was measured.
    """
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    size = (max(_PANEL[0] * columns, 5.4), _PANEL[1] * rows + _MARGIN)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for index, (op, boxes) in enumerate(panels.items()):
        _draw_boxes(axes[index], boxes)
        axes[index].set_title(op, fontsize=10)
        if index + columns >= len(panels):
            axes[index].set_xlabel("strength", fontsize=9)
            axes[index].tick_params(labelbottom=True)
        if index % columns == 0:
            axes[index].set_ylabel("ratio", fontsize=9)
    for panel in axes[len(panels) :]:
        panel.remove()
    highest = max(max(ratios) for boxes in panels.values() for ratios in boxes.values())
    axes[0].set_ylim(0, 1.05 * max(highest, 1.0))
    axes[0].yaxis.set_major_locator(MaxNLocator(6))
    figure.suptitle(title, fontsize=11)
    figure.supxlabel(note, fontsize=8, color="#444444")
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _draw_boxes(panel: Axes, boxes: Mapping[float, Sequence[float]]) -> None:
    panel.axhline(1, color="grey", linewidth=0.8, linestyle="--")
    panel.boxplot(
        list(boxes.values()),
        tick_labels=[f"{strength:g}" for strength in boxes],
        widths=0.12 * len(boxes),  # as wide in every panel
        whis=(0, 100),  # of a handful of draws none is an outlier
        patch_artist=True,
        boxprops={"facecolor": "#c6dbef", "edgecolor": _COLOUR},
        medianprops={"color": _COLOUR, "linewidth": 1.6},
        whiskerprops={"color": _COLOUR},
        capprops={"color": _COLOUR},
    )
    panel.set_xlim(0.4, len(boxes) + 0.6)
    panel.grid(axis="y", linewidth=0.4, alpha=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=8)
