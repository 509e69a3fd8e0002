"""The page itself: the template filled in."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from tf_diffaug.runs.report import plots, words
from tf_diffaug.runs.report.curves import charts_of
from tf_diffaug.runs.report.looks import Looks
from tf_diffaug.runs.report.records import RunRecords

_HERE = importlib.resources.files(__package__)


def render(runs: Sequence[RunRecords], looks: Sequence[Looks], out: str | os.PathLike) -> str:
    """The page as HTML, with everything that it needs in it.

    Args:
        runs: what their files tell.
        looks: their pictures.
        out: where the page will lie.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (_HERE / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # In an item a model is defined where it is first named: its order is not to be touched.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    names = [run.name for run in runs]
    drawn = [
        plots.plot(chart, names, f"chart-{index}") for index, chart in enumerate(charts_of(runs))
    ]
    steps = sorted({step for look in looks for step, _ in look.samples})
    return environment.get_template("page.html.j2").render(
        runs=runs,
        looks=looks,
        colours=plots.COLOURS,
        several=len(runs) > 1,
        differences=words.differences(runs),
        recipes=words.recipes(runs),
        plots=drawn,
        steps=steps,
        evaluations=words.evaluations(runs),
        commands=[words.commands(run) for run in runs],
        page_command=words.page_command(runs, out),
        style=_own("page.css"),
        script=_own("page.js"),
        bokeh=Markup(plots.library().replace("</script", r"<\/script")),
    )


def _own(name: str) -> Markup:
    """A file of the package, which is no user's text."""
    return Markup((_HERE / name).read_text(encoding="utf-8"))
