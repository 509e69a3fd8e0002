"""A study's results drawn in the forms that the papers use; needs Matplotlib."""

from __future__ import annotations

import io
import operator
import textwrap
from collections.abc import Sequence

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter, NullLocator
    from matplotlib.transforms import ScaledTranslation
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "figures need Matplotlib: pip install matplotlib", name=error.name
    ) from error

from tf_diffaug.studies.intervals import spread
from tf_diffaug.studies.results import Results
from tf_diffaug.studies.study import Arm
from tf_diffaug.titles import metric_title

_COLUMNS = 4
_PANEL = (3.0, 2.5)  # inches
_LEGEND = 2.0  # inches beside the panels
_ASIDE = 0.07  # inches between lines at one strength
_DPI = 130
# After Okabe and Ito: told apart by most of the colour-blind.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
SMALL = 8
_DASHES = ("-", "--", ":")


def draw(results: Results) -> dict[str, bytes]:
    """PNG files by what they show, `results` and `curves`; none of what no line tells.

    Args:
        results: of a study.
    """
    study = results.study
    arms = results.arms()
    if not arms:
        return {}
    drawn = {}
    if study.form == "strength":
        drawn["results"] = _strengths(results, arms)
    elif study.form == "bars":
        drawn["results"] = _bars(results, arms)
    elif study.form == "boxes":
        drawn["results"] = _overlap(results)
    if study.form in ("bars", "curves") and any(_curves_of(results, arm, "fid") for arm in arms):
        drawn["curves"] = _curves(results, arms)
    return {name: content for name, content in drawn.items() if content is not None}


def _strengths(results: Results, arms: Sequence[Arm]) -> bytes:
    """A panel an op, as in the second paper: what stands on the axis by place, a line across."""
    across = [arm for arm in arms if arm.x is None]
    placed = [arm for arm in arms if arm.x is not None]
    # Few series share a panel; of many ops each has its own, with a line a place.
    by_series = len({arm.series for arm in placed}) > 3
    panel_of, line_of = operator.attrgetter("series"), operator.attrgetter("panel")
    if not by_series:
        panel_of, line_of = line_of, panel_of
    titles = list(dict.fromkeys(map(panel_of, placed))) or [""]
    figure, panels = _panels(titles, sharey=True)
    told: set[str] = set()
    for title, panel in zip(titles, panels, strict=True):
        mine = [arm for arm in placed if panel_of(arm) == title]
        lines = dict.fromkeys(map(line_of, mine))
        for index, line in enumerate(lines):
            some = [arm for arm in mine if line_of(arm) == line]
            colour = _COLOURS[index % len(_COLOURS)]
            # Beside each other, as one would hide another at the same strength.
            aside = _ASIDE * (index - (len(lines) - 1) / 2)
            _error_line(panel, results, some, line or title, colour, aside)
        for arm in across:
            _line_across(panel, results, arm)
        _dress(panel, results, title)
        panel.set_xlabel(results.study.x_label, fontsize=SMALL)
        _mark_places(panel, sorted({arm.x for arm in mine}), "x" in results.study.log)
        handles, labels = panel.get_legend_handles_labels()
        if not told.issuperset(labels):  # what another panel tells it need not
            panel.legend(handles, labels, fontsize=SMALL - 1, frameon=False)
            told.update(labels)
    if limits := _limits(results, arms):
        panels[0].set_ylim(*limits)
    return png(figure, results)


def _mark_places(panel: Axes, places: Sequence[float], log: bool) -> None:
    """Ticks at the strengths, with room beside the first and the last."""
    if log:
        panel.set_xscale("log")
    if places:
        low, high = places[0], places[-1]
        if log:
            room = (high / low) ** 0.15 if high > low else 1.5
            panel.set_xlim(low / room, high * room)
        else:
            room = 0.15 * (high - low) or 0.1
            panel.set_xlim(low - room, high + room)
    panel.set_xticks(places, [f"{x:g}" for x in places])
    panel.xaxis.set_minor_locator(NullLocator())


def _limits(results: Results, arms: Sequence[Arm]) -> tuple[float, float] | None:
    """Between which all means and deviations lie, with some room."""
    values = [results.values(arm.name, results.study.metrics[0]).values() for arm in arms]
    found = [spread(list(some)) for some in values if some]
    if not found:
        return None
    low = min(one.mean - (one.std or 0) for one in found)
    high = max(one.mean + (one.std or 0) for one in found)
    if "y" in results.study.log:
        return 0.93 * max(low, 1e-3 * high), 1.07 * high
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _error_line(
    panel: Axes, results: Results, arms: Sequence[Arm], label: str, colour: str, aside: float
) -> None:
    metric = results.study.metrics[0]
    points = [(arm.x, list(results.values(arm.name, metric).values())) for arm in arms]
    points = sorted((x, values) for x, values in points if values)
    if not points:
        return
    found = [spread(values) for _, values in points]
    panel.errorbar(
        [x for x, _ in points],
        [one.mean for one in found],
        yerr=[one.std or 0.0 for one in found],
        label=label,
        color=colour,
        marker="o",
        markersize=3,
        linewidth=1.4,
        capsize=2,
        transform=panel.transData + ScaledTranslation(aside, 0, panel.figure.dpi_scale_trans),
    )


def _line_across(panel: Axes, results: Results, arm: Arm) -> None:
    values = list(results.values(arm.name, results.study.metrics[0]).values())
    if not values:
        return
    found = spread(values)
    style = {"color": "#444444", "linewidth": 1.0}
    dash = ":" if arm.name == "diffaugment" else "--"
    panel.axhline(found.mean, linestyle=dash, label=arm.series or arm.name, **style)
    low, high = found.mean - (found.std or 0), found.mean + (found.std or 0)
    panel.axhspan(low, high, color="#444444", alpha=0.12, linewidth=0)


def _bars(results: Results, arms: Sequence[Arm]) -> bytes:
    """A panel a metric: groups of bars, a colour a series, with the deviation over seeds."""
    metrics = [m for m in results.study.metrics if any(results.values(a.name, m) for a in arms)]
    groups = list(dict.fromkeys(arm.panel for arm in arms))
    series = list(dict.fromkeys(arm.series for arm in arms))
    figure, panels = _panels(metrics or [results.study.metrics[0]], wide=1.6)
    for metric, panel in zip(metrics, panels, strict=False):
        place, ticks = 0.0, []
        for group in groups:
            for arm in (arm for arm in arms if arm.panel == group):
                values = list(results.values(arm.name, metric).values())
                if not values:
                    continue
                found = spread(values)
                colour = _COLOURS[series.index(arm.series) % len(_COLOURS)]
                panel.bar(place, found.mean, 0.8, yerr=found.std, capsize=2, color=colour)
                panel.scatter([place] * len(values), values, s=7, color="black", zorder=3)
                label = arm.series if len(groups) == 1 or group == "" else f"{arm.series} {group}"
                ticks.append((place, label))
                place += 1
            place += 0.6
        panel.set_xticks(
            [x for x, _ in ticks],
            [t for _, t in ticks],
            rotation=40,
            ha="right",
            fontsize=SMALL - 1,
        )
        _dress(panel, results, "", metric)
    return png(figure, results)


def _overlap(results: Results) -> bytes | None:
    """Figure 4 of arXiv 2006.02595: a box a strength, over the draws of all seeds."""
    from tf_diffaug.evaluation.overlap_plot import draw_overlap

    panels: dict[str, dict[float, list[float]]] = {}
    for arm in results.study.arms_at(results.scale):
        for line in results.lines(arm.name).values():
            for op, boxes in line["overlap"].items():
                for strength, ratios in boxes.items():
                    panels.setdefault(op, {}).setdefault(float(strength), []).extend(ratios)
    if not panels:
        return None
    title = "FID(augmented real, augmented fake) / FID(real, fake)"
    return draw_overlap(panels, title=title, note=f"{len(results)} run(s), {results.scale}")


def _curves_of(results: Results, arm: Arm, metric: str) -> list[tuple[list[int], list[float]]]:
    """Steps and values of each of an arm's runs, as far as it got."""
    found = []
    for line in results.lines(arm.name).values():
        values = line["curves"].get(metric, ())
        points = [p for p in zip(line["curves"]["step"], values, strict=False) if p[1] is not None]
        if points:
            found.append(([step for step, _ in points], [value for _, value in points]))
    return found


def _curves(results: Results, arms: Sequence[Arm]) -> bytes:
    """Against the steps: the mean over seeds, their number in brackets; behind it each of them."""
    wanted = results.study.metrics if results.study.form == "curves" else ("fid",)
    metrics = [m for m in wanted if any(_curves_of(results, arm, m) for arm in arms)]
    figure, panels = _panels(metrics, wide=1.5)
    for metric, panel in zip(metrics, panels, strict=True):
        for index, arm in enumerate(arms):
            runs = _curves_of(results, arm, metric)
            colour = _COLOURS[index % len(_COLOURS)]
            dash = _DASHES[index // len(_COLOURS) % len(_DASHES)]
            for steps, values in runs:
                panel.plot(steps, values, color=colour, linewidth=0.6, alpha=0.35)
            at = sorted({step for steps, _ in runs for step in steps})
            means = [spread([v[s.index(step)] for s, v in runs if step in s]).mean for step in at]
            label = f"{arm.name} ({len(runs)})"
            panel.plot(at, means, dash, color=colour, linewidth=1.6, label=label)
        _dress(panel, results, "", metric)
        panel.set_xlabel("step", fontsize=SMALL)
    figure.set_figwidth(figure.get_figwidth() + _LEGEND)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside right center",
        fontsize=SMALL - 2,
        frameon=False,
    )
    return png(figure, results)


def _panels(
    titles: Sequence[str], *, wide: float = 1.0, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    columns = min(_COLUMNS if wide == 1.0 else 3, len(titles))
    rows = -(-len(titles) // columns)
    size = (max(_PANEL[0] * wide * columns, 4.5), _PANEL[1] * rows * wide**0.5 + 0.8)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
    for panel in panels[len(titles) :]:
        panel.remove()
    return figure, panels[: len(titles)]


def _dress(panel: Axes, results: Results, title: str, metric: str = "") -> None:
    metric = metric or results.study.metrics[0]
    panel.set_title(title, fontsize=SMALL + 1)
    panel.set_ylabel(_RATES.get(metric) or metric_title(metric), fontsize=SMALL)
    panel.tick_params(labelsize=SMALL - 1)
    panel.grid(axis="y", linewidth=0.4, alpha=0.6)
    panel.set_axisbelow(True)
    if "y" in results.study.log and metric == results.study.metrics[0]:
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter(LogFormatter())
        panel.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 1)))
        panel.tick_params(axis="y", which="both", labelsize=SMALL - 1)


_RATES = {
    "accuracy_real_aug": "D right on training reals, as it sees them",
    "accuracy_held_out": "D right on held-out reals",
}


def png(figure: Figure, results: Results) -> bytes:
    """The file of a figure, under the title of its study."""
    study = results.study
    title = f"{study.title} ({study.source}; scale: {results.scale})"
    width = int(15 * figure.get_figwidth())  # letters that its inches hold
    figure.suptitle(textwrap.fill(title, width), fontsize=SMALL + 1)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
