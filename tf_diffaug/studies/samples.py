"""What the networks of the arms make, side by side: the last sample grids of one seed's runs."""

from __future__ import annotations

from collections import Counter

from matplotlib.figure import Figure
from PIL import Image

from tf_diffaug.images import read_png
from tf_diffaug.studies.figures import SMALL, png
from tf_diffaug.studies.intervals import readable
from tf_diffaug.studies.results import Place, Results, value_of
from tf_diffaug.titles import metric_title

_COLUMNS = 2
_TOP = 6  # of its width: two of a sheet's rows, which have twelve images
_WIDE = 4.2  # inches of a sheet
_DPI = 100


def draw_samples(results: Results, place: Place) -> bytes | None:
    """A PNG file with the top of each arm's last sheet, and the score of that run above it.

    All are of one seed, the one that most arms have, and from the same latents where these are of
    one length. The lines do not have the pictures: None where no run lies in its folder any more.

    Args:
        results: of a study.
        place: where its runs lie.

    Raises:
        ValueError: if a sheet is damaged.
    """
    seeds = Counter(seed for arm in results.arms() for seed in results.lines(arm.name))
    if not seeds:
        return None
    seed = max(seeds, key=lambda one: (seeds[one], -one))
    sheets = {}
    for arm in results.arms():
        if line := results.lines(arm.name).get(seed):
            run = place.run_dir(results.cell(arm.name, seed))
            if found := sorted(run.glob("samples/*.png")):
                metric = results.study.metrics[0]
                score = value_of(line, metric)
                shown = "" if score is None else f": {metric_title(metric)} {readable(score, 4)}"
                sheets[f"{arm.name}{shown}"] = read_png(found[-1])
    return _draw(results, sheets) if sheets else None


def _draw(results: Results, sheets: dict[str, Image.Image]) -> bytes:
    columns = min(_COLUMNS, len(sheets))
    rows = -(-len(sheets) // columns)
    size = (_WIDE * columns, (_WIDE / _TOP + 0.25) * rows + 0.5)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels:
        panel.set_axis_off()
    for panel, (title, sheet) in zip(panels, sheets.items(), strict=False):
        panel.imshow(sheet.crop((0, 0, sheet.width, sheet.width // _TOP)))
        panel.set_title(title, fontsize=SMALL, loc="left")
    return png(figure, results)
