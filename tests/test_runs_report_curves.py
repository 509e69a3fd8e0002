"""A page's curves: what they keep, thin out and mark."""

import numpy as np

from tests.reports import PROTOCOL, evaluation, write_run
from tf_diffaug.runs.report import curves
from tf_diffaug.runs.report.records import read_records


def test_curves_keep_what_they_have(tmp_path):
    (run,) = read_records([write_run(tmp_path / "run")])
    charts = {chart.title: chart for chart in curves.charts_of([run])}
    assert next(iter(charts)) == "FID during training"
    assert set(charts["What D says"].labels) == {"d_real", "d_fake"}
    (losses,) = charts["Losses"].runs
    np.testing.assert_array_equal(losses.steps, [10, 20, 30])
    np.testing.assert_array_equal(losses.values["g_loss"], [1.25, 2.5, 3.75])


def test_long_curves_are_thinned_to_their_last_point():
    records = [{"step": step, "d_loss": step / 2} for step in range(1, 4002)]
    found = curves._curves(records, {"d_loss": "D"})
    assert len(found.steps) <= 1500
    assert found.steps[-1] == 4001
    np.testing.assert_array_equal(found.values["d_loss"], (found.steps / 2).astype(np.float32))


def test_what_float32_has_no_room_for_is_infinite():
    found = curves._curves([{"step": 1, "d_loss": 1e308, "g_loss": -1e308}], {"d_loss", "g_loss"})
    assert (found.values["d_loss"], found.values["g_loss"]) == ([np.inf], [-np.inf])


def test_evaluations_of_one_protocol_make_a_curve(tmp_path):
    other = evaluation(5, protocol={**PROTOCOL, "num_fakes": 50, "step": 5})
    few = [other, evaluation(10), evaluation(20), evaluation(20, values={"fid": {"mean": 5.0}})]
    (run,) = read_records([write_run(tmp_path / "run", evaluations=few)])
    charts = {chart.title: chart for chart in curves.charts_of([run])}
    (found,) = charts["FID"].runs
    np.testing.assert_array_equal(found.steps, [10, 20])
    np.testing.assert_array_equal(found.values["fid"], [61.25, 5.0])


def test_curves_of_unlike_protocols_are_marked(tmp_path):
    runs = [write_run(tmp_path / "a"), write_run(tmp_path / "b", num_fakes=50)]
    alike = curves.charts_of(read_records(runs))[0]
    assert (alike.title, alike.note) == ("FID during training", "lower is better")
    metrics = runs[1] / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"num_fakes": 20', '"num_fakes": 50'))
    assert "do not compare" in curves.charts_of(read_records(runs))[0].note
