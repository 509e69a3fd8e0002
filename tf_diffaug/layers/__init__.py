"""Layers that GANs share and Keras lacks."""

from tf_diffaug.layers.attention import SelfAttention
from tf_diffaug.layers.batch_norm import BatchNorm, batch_statistics, standing_statistics
from tf_diffaug.layers.batch_views import batch_views
from tf_diffaug.layers.chain_norm import ChainNorm
from tf_diffaug.layers.conditional_batch_norm import ConditionalBatchNorm
from tf_diffaug.layers.equalized import EqualizedConv2D, EqualizedDense
from tf_diffaug.layers.grouped_conv import GroupedConv2D
from tf_diffaug.layers.minibatch_stddev import MinibatchStddev
from tf_diffaug.layers.modulated import ModulatedConv2D
from tf_diffaug.layers.resampled_conv import DownsampledConv2D, UpsampledConv2D
from tf_diffaug.layers.spectral_norm import (
    SpectralNormalization,
    advance_power_iteration,
    hold_power_iteration,
)

__all__ = [
    "BatchNorm",
    "ChainNorm",
    "ConditionalBatchNorm",
    "DownsampledConv2D",
    "EqualizedConv2D",
    "EqualizedDense",
    "GroupedConv2D",
    "MinibatchStddev",
    "ModulatedConv2D",
    "SelfAttention",
    "SpectralNormalization",
    "UpsampledConv2D",
    "advance_power_iteration",
    "batch_statistics",
    "batch_views",
    "hold_power_iteration",
    "standing_statistics",
]
