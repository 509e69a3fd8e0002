"""The charts as Bokeh draws them, each a JSON item that the page embeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from bokeh.embed import json_item
from bokeh.models import (
    ColumnDataSource,
    CrosshairTool,
    CustomJSTickFormatter,
    HoverTool,
    Range1d,
    Span,
)
from bokeh.plotting import figure
from bokeh.resources import Resources

from tf_diffaug.runs.report.curves import Chart, Curves

# Told apart on white and on near-black, by most of the colour-blind too (after Okabe and Ito).
COLOURS = ("#2f7de1", "#e8743b", "#12a37a", "#b45fd0", "#d1a000", "#e0527e", "#5b8c9a", "#8a7a5c")
_DASHES = ("solid", "dashed", "dotted", "dotdash")
_HEIGHT = 230
_FEW_POINTS = 40
# Short numbers of steps: 500, 2.5k, 1M.
_STEPS = """
const short = (n, unit) => String(Number((tick / n).toPrecision(4))) + unit
if (tick !== Math.round(tick)) { return "" }
return tick >= 1e6 ? short(1e6, "M") : tick >= 1e4 ? short(1e3, "k") : tick.toLocaleString("en-US")
"""


class Plot(NamedTuple):
    """A chart, ready for the page.

    Args:
        chart: its title and how to read it.
        legend: a line for each curve: its name on the plot, its label, its colour and dash.
        item: what `Bokeh.embed.embed_item` takes.
    """

    chart: Chart
    legend: list[dict[str, str]]
    item: dict[str, Any]


def library() -> str:
    """Bokeh's own JavaScript, whole, for a page that needs no network."""
    return "\n".join(Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw)


def plot(chart: Chart, names: Sequence[str], target: str) -> Plot:
    """Draws a chart.

    Args:
        chart: the chart.
        names: of the runs, in its order. Several are told apart by colour, their curves by dash.
        target: the id of the element that it will be embedded in.
    """
    drawn = figure(
        height=_HEIGHT,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_left=52,
        min_border_right=12,
        min_border_top=8,
    )
    legend = []
    for index, (name, curves) in enumerate(zip(names, chart.runs, strict=True)):
        if curves is not None:
            legend += _draw_run(drawn, chart, index, name, curves, several=len(names) > 1)
    if chart.is_share:
        drawn.y_range = Range1d(-0.04, 1.06)
    _dress(drawn)
    return Plot(chart, legend, json_item(drawn, target))


def _draw_run(
    drawn: figure, chart: Chart, run: int, name: str, curves: Curves, *, several: bool
) -> list[dict[str, str]]:
    # Numbered: in a tooltip's template a name of a run's own could be markup that is run.
    columns = {key: f"column{index}" for index, key in enumerate(curves.values)}
    values = {columns[key]: row for key, row in curves.values.items()}
    source = ColumnDataSource({"step": curves.steps, **values})
    legend = []
    for index, (key, label) in enumerate(chart.labels.items()):
        if key not in curves.values:
            continue
        colour = COLOURS[(run if several else index) % len(COLOURS)]
        dash = _DASHES[index % len(_DASHES)] if several else "solid"
        style = {"color": colour, "name": f"{run} {key}"}
        drawn.line("step", columns[key], source=source, line_width=2, line_dash=dash, **style)
        if len(curves.steps) <= _FEW_POINTS:
            drawn.scatter("step", columns[key], source=source, size=5, **style)
        shown = f"{name}: {label}" if several and len(chart.labels) > 1 else label
        shown = name if several and len(chart.labels) == 1 else shown
        legend.append({"name": style["name"], "label": shown, "colour": colour, "dash": dash})
    # What the cursor reads must not vanish with a curve that is switched off.
    first = next(iter(columns.values()))
    read = drawn.line("step", first, source=source, line_alpha=0, line_width=8, name=name)
    told = {key: label for key, label in chart.labels.items() if key in curves.values}
    shown = [(label, f"@{columns[key]}{{%.4g}}") for key, label in told.items()]
    heading = [("", "$name")] if several else []
    drawn.add_tools(
        HoverTool(
            renderers=[read],
            mode="vline",
            line_policy="nearest",
            tooltips=[*heading, ("step", "@step{0,0}"), *shown],
            formatters={f"@{column}": "printf" for column in columns.values()},
            attachment="horizontal",
        )
    )
    return legend


def _dress(drawn: figure) -> None:
    """Sizes and shapes; the page gives the colours."""
    drawn.add_tools(CrosshairTool(overlay=Span(dimension="height", line_width=1, name="cursor")))
    drawn.xaxis.formatter = CustomJSTickFormatter(code=_STEPS)
    for axis in (drawn.xaxis, drawn.yaxis):
        axis.major_label_text_font = "system-ui, sans-serif"
        axis.major_label_text_font_size = "12px"
        axis.axis_line_color = None
        axis.major_tick_line_color = None
        axis.minor_tick_line_color = None
    drawn.xaxis.ticker.desired_num_ticks = 5
    drawn.yaxis.ticker.desired_num_ticks = 5
    drawn.xgrid.grid_line_color = None
    drawn.x_range.range_padding = 0.02
