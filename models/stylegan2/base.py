"""What the two networks of StyleGAN2 share."""

from __future__ import annotations

from typing import Any

import keras

from tf_diffaug.models.base import Network, check_positive
from tf_diffaug.naming import unknown


class StyleGAN2Network(Network):
    """Resolutions, channels and layers of either."""

    def __init__(
        self,
        resolution: int,
        channels: int,
        width: int,
        *,
        num_classes: int | None,
        max_channels: int,
        architecture: str,
        architectures: tuple[str, ...],
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        if resolution < 4 or resolution & (resolution - 1):
            raise ValueError(
                "StyleGAN2 makes resolutions that are powers of two, 4 or more. "
                f"Received: resolution={resolution}."
            )
        if architecture not in architectures:
            raise ValueError(unknown("architecture", architecture, architectures))
        super().__init__(
            resolution=resolution,
            channels=channels,
            width=width,
            num_classes=num_classes,
            seed=seed,
            # Latents and w keep their precision; the layers cast what they take.
            autocast=False,
            **kwargs,
        )
        check_positive(max_channels=max_channels)
        self.max_channels = max_channels
        self.architecture = architecture

    def _channels_at(self, resolution: int) -> int:
        return max(1, min(self.width * self.resolution // resolution, self.max_channels))

    def _layer(self, kind: type, *args: Any, name: str, **kwargs: Any) -> keras.layers.Layer:
        """A layer with a seed of its own, of this network's dtype policy, kept as `self.name`."""
        kwargs = {"dtype": self.dtype_policy.name, "seed": self._layer_seed(), **kwargs}
        # Not in a list: the checkpoints of Keras 3 do not see layers in one.
        setattr(self, name, kind(*args, name=name, **kwargs))
        return getattr(self, name)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "architecture": self.architecture,
            "max_channels": self.max_channels,
        }
