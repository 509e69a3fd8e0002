"""Metrics' names as the field writes them; needs neither Keras nor TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

_METRICS = {
    "auth_pct": "AuthPct",
    "ct": "C_T",
    "fid": "FID",
    "fid_high": "FID, upper end",
    "fid_infinity": "FID of endless samples",
    "fid_interval": "FID, width of the interval",
    "fid_low": "FID, lower end",
    "fld_gap": "FLD gap",
    "is": "Inception Score",
    "is_std": "Inception Score, deviation",
    "kid": "KID",
    "kid_stderr": "KID, standard error",
    "mind": "MIND",
}


def metric_title(name: str) -> str:
    """A metric's name as the field writes it."""
    return _METRICS.get(name, name.replace("_", " "))


def metric_titles(metrics: Sequence[str]) -> str:
    """Titles of metrics in a sentence."""
    *names, last = map(metric_title, metrics)
    return f"{', '.join(names)} and {last}" if names else last
