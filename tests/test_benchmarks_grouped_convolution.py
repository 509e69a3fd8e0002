"""The forms of a grouped convolution that are timed compute the same."""

import numpy as np
import pytest

from benchmarks import grouped_convolution
from tf_diffaug.layers import grouped_conv


@pytest.mark.parametrize("work", grouped_convolution.WORKS)
def test_all_forms_compute_the_same(work):
    # 4 groups of 8 channels: joined to 2 parts, or to 1.
    images, kernel, groups = grouped_convolution.operands("2x3x32x4", "float32")
    run = grouped_convolution.WORKS[work]
    forms = dict(grouped_convolution.FORMS)
    if work != "forward" and not grouped_conv._cpu_has_gradients("float32"):
        del forms["one operation"]  # as the benchmark leaves it out
    expected = run(forms.pop("joined 16"), groups, images, kernel)
    for name, form in forms.items():
        for ours, theirs in zip(run(form, groups, images, kernel), expected, strict=True):
            scale = np.max(np.abs(theirs))
            np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-5, err_msg=name)
