"""What the two networks of R3GAN share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from tf_diffaug.models.base import Network, check_positive
from tf_diffaug.models.r3gan.blocks import BLOCK_GAIN, ResidualBlock, fan_in_normal

# Channels of a group in the presets of CIFAR-10 and FFHQ: 1536 channels in 96 groups.
GROUP_CHANNELS = 16
# Side of the smallest maps.
SIDE = 4


class R3GANNetwork(Network):
    """Stages, one a resolution, each with its blocks."""

    def __init__(
        self,
        resolution: int,
        channels: int,
        width: int,
        *,
        num_classes: int | None,
        cardinality: int | None,
        depth: int,
        expansion: int,
        full_width_until: int,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            resolution=resolution,
            channels=channels,
            width=width,
            num_classes=num_classes,
            seed=seed,
            # The stages cast what they take.
            autocast=False,
            **kwargs,
        )
        powers = {"resolution": resolution, "full_width_until": full_width_until}
        for name, value in powers.items():
            if value < SIDE or value & (value - 1):
                raise ValueError(
                    f"R3GAN has maps whose sides are powers of two, {SIDE} or more. "
                    f"Received: {name}={value}."
                )
        check_positive(depth=depth, expansion=expansion, cardinality=cardinality)
        self.cardinality = cardinality
        self.depth = depth
        self.expansion = expansion
        self.full_width_until = full_width_until
        self.sides = tuple(2**power for power in range(2, resolution.bit_length()))

    def _channels_at(self, side: int) -> int:
        return max(1, self.width * self.full_width_until // max(side, self.full_width_until))

    def _groups_at(self, side: int) -> int:
        """Groups of the 3 × 3 convolution: a group has as many channels in every stage."""
        channels = self._channels_at(side)
        expanded = channels * self.expansion
        if self.cardinality is None:
            most = max(1, expanded // GROUP_CHANNELS)
            return max(groups for groups in range(1, most + 1) if expanded % groups == 0)
        groups = max(1, self.cardinality * channels // self.width)
        if expanded % groups:
            raise ValueError(
                f"The {expanded} channels inside a block at {side} px do not divide into {groups} "
                "groups: `width` times `expansion` must be a multiple of `cardinality`. "
                f"Received: width={self.width}, cardinality={self.cardinality}."
            )
        return groups

    def _dtype_at(self, side: int) -> str:
        """The published code computes the smallest maps in float32 whatever the rest does."""
        return self.variable_dtype if side == SIDE else self.dtype_policy.name

    def _linear(self, kind: type, *args: Any, fan_in: int, gain: float = 1.0, **kwargs: Any) -> Any:
        """A layer without a bias, its initial weights N(0, (gain / sqrt(fan_in))²)."""
        initial = fan_in_normal(fan_in, gain, self._layer_seed())
        options = {"dtype": self.dtype_policy.name, "use_bias": False, **kwargs}
        return kind(*args, kernel_initializer=initial, **options)

    def _pointwise(self, channels: int, filters: int, **kwargs: Any) -> keras.layers.Conv2D:
        return self._linear(keras.layers.Conv2D, filters, 1, fan_in=channels, **kwargs)

    def _add_blocks(self, side: int) -> None:
        gain = BLOCK_GAIN * (self.depth * len(self.sides)) ** -0.25
        channels = self._channels_at(side)
        for number in range(1, self.depth + 1):
            block = ResidualBlock(
                channels * self.expansion,
                channels,
                groups=self._groups_at(side),
                gain=gain,
                seeds=(self._layer_seed(), self._layer_seed()),
                dtype=self._dtype_at(side),
                name=f"block{side}_{number}",
            )
            # Not in a list: the checkpoints of Keras 3 do not see layers in one.
            setattr(self, block.name, block)

    def _blocks_at(self, side: int) -> Iterator[ResidualBlock]:
        return (getattr(self, f"block{side}_{number}") for number in range(1, self.depth + 1))

    def _changes_channels(self, side: int) -> bool:
        """Whether the maps of a side have other channels than those of half the side."""
        return self._channels_at(side) != self._channels_at(side // 2)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cardinality": self.cardinality,
            "depth": self.depth,
            "expansion": self.expansion,
            "full_width_until": self.full_width_until,
        }
