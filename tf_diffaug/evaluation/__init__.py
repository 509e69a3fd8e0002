"""Measures of a generator: feature extractors, statistics of features, FID and its record."""

from tf_diffaug.evaluation.statistics import Statistics, frechet_distance

__all__ = ["Statistics", "frechet_distance"]
