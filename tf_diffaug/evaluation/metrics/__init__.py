"""Metrics of a generator from features of its samples and of real images.

A new one is a file in this package with a registered function (`register_metric`): the names, the
lists and the documentation's table follow.
"""

from __future__ import annotations

import importlib
import pkgutil

from tf_diffaug.evaluation.metrics.measure import measure, readings
from tf_diffaug.evaluation.metrics.registry import (
    METRICS,
    Metric,
    metrics_table,
    parse_metrics,
    register_metric,
)
from tf_diffaug.evaluation.metrics.sets import FeatureSet, FeatureSets, Moments

__all__ = [
    "METRICS",
    "FeatureSet",
    "FeatureSets",
    "Metric",
    "Moments",
    "measure",
    "metrics_table",
    "parse_metrics",
    "readings",
    "register_metric",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
