"""What FastGAN's two networks share."""

from __future__ import annotations

from typing import Any

import keras

from tf_diffaug.layers import SpectralNormalization
from tf_diffaug.models.base import Network

RESOLUTIONS = (32, 64, 128, 256, 512, 1024)


class FastGANNetwork(Network):
    """Either network.

    Args:
        resolution: one of `RESOLUTIONS`.
        **kwargs: as of `Network`.

    Raises:
        ValueError: for another resolution.
    """

    def __init__(
        self, resolution: int, channels: int, width: int, seed: int | None, **kwargs: Any
    ) -> None:
        if resolution not in RESOLUTIONS:
            raise ValueError(
                f"FastGAN makes images of {RESOLUTIONS} px. Received: resolution={resolution}."
            )
        super().__init__(resolution=resolution, channels=channels, width=width, seed=seed, **kwargs)

    def _filters(self, multiple: float) -> int:
        return max(1, int(multiple * self.width))

    def _normalized(self, kind: type, *args: Any, name: str, **kwargs: Any) -> Any:
        layer = self._new(kind, *args, use_bias=False, name=name, **kwargs)
        return SpectralNormalization(layer, seed=self._layer_seed() or 0, name=name)

    def _layer(self, kind: type, *args: Any, name: str, **kwargs: Any) -> keras.layers.Layer:
        """A block of this network's dtype policy, kept as `self.name`."""
        dtype = self.dtype_policy.name
        layer = kind(*args, make_conv=self._normalized, dtype=dtype, name=name, **kwargs)
        # Not in a list: the checkpoints of Keras 3 do not see layers in one.
        setattr(self, name, layer)
        return layer

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["num_classes"]
        return config
