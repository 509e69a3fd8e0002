"""Measures of a generator: feature extractors, statistics of features, FID and its record."""

from tf_diffaug.evaluation.extractor import Extractor, Outputs
from tf_diffaug.evaluation.extractors import (
    check_features,
    extractor_for,
    load_extractor,
    resolve_features,
)
from tf_diffaug.evaluation.fid import compare, evaluate_fid
from tf_diffaug.evaluation.overlap import support_overlap
from tf_diffaug.evaluation.reference import (
    compute_statistics,
    default_cache_dir,
    reference_statistics,
)
from tf_diffaug.evaluation.registry import register_extractor
from tf_diffaug.evaluation.statistics import Statistics, frechet_distance
from tf_diffaug.images import to_uint8

__all__ = [
    "Extractor",
    "Outputs",
    "Statistics",
    "check_features",
    "compare",
    "compute_statistics",
    "default_cache_dir",
    "evaluate_fid",
    "extractor_for",
    "frechet_distance",
    "load_extractor",
    "reference_statistics",
    "register_extractor",
    "resolve_features",
    "support_overlap",
    "to_uint8",
]
