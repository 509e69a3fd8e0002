"""Layers that GANs share and Keras lacks."""

from tf_diffaug.layers.batch_norm import BatchNorm, batch_statistics, standing_statistics
from tf_diffaug.layers.spectral_norm import SpectralNormalization, advance_power_iteration

__all__ = [
    "BatchNorm",
    "SpectralNormalization",
    "advance_power_iteration",
    "batch_statistics",
    "standing_statistics",
]
