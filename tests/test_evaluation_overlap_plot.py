"""The box plot of the overlap."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

PANELS = {
    "translation": {0.1: [0.8, 0.9, 0.85], 0.2: [0.6, 0.7, 0.65]},
    "a_long_name(fill=reflect)": {0.4: [1.3]},
}


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_plot_is_a_picture_of_the_numbers(count):
    from tf_diffaug.evaluation.overlap_plot import draw_overlap

    panels = {f"op{k}": PANELS["translation"] for k in range(count - 1)}
    panels["last"] = PANELS["a_long_name(fill=reflect)"]
    pixels = [
        np.asarray(Image.open(io.BytesIO(draw_overlap(made, title="t", note="n"))).convert("RGB"))
        for made in (panels, {**panels, "last": {0.4: [0.3]}})
    ]
    assert pixels[0].std() > 10
    assert pixels[0].shape == pixels[1].shape
    assert (pixels[0] != pixels[1]).any()


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "tf_diffaug.evaluation.overlap_plot", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match="pip install matplotlib"):
        import tf_diffaug.evaluation.overlap_plot  # noqa: F401
