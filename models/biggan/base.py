"""What BigGAN's two networks share: initial weights, spectral normalisation, attention's place."""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras

from tf_diffaug.layers import SelfAttention, SpectralNormalization
from tf_diffaug.models.base import Network
from tf_diffaug.naming import unknown

RESOLUTIONS = (32, 64, 128, 256)
Init = Literal["normal", "orthogonal"]
INITS = get_args(Init)
# "author" is BigGAN-PyTorch, and at 32 px the DiffAugment experiments' networks as well;
# "compare_gan" is that of Zhao et al. (2020, arXiv 2006.02595), and of the DiffAugment
# experiments on ImageNet.
Layout = Literal["author", "compare_gan"]
LAYOUTS = get_args(Layout)


class BigGANNetwork(Network):
    """Either network.

    Args:
        resolution: one of `RESOLUTIONS`.
        init: one of `INITS`.
        attention: resolution of the map that self-attention stands on, or None.
        layout: one of `LAYOUTS`.
        **kwargs: as of `Network`.

    Raises:
        ValueError: for another resolution, `init` or `layout`.
    """

    def __init__(
        self,
        *,
        resolution: int,
        init: Init,
        attention: int | None,
        layout: Layout,
        **kwargs: Any,
    ) -> None:
        if resolution not in RESOLUTIONS:
            raise ValueError(
                f"BigGAN makes images of {RESOLUTIONS} px. Received: resolution={resolution}."
            )
        if init not in INITS:
            raise ValueError(unknown("init", init, INITS))
        if layout not in LAYOUTS:
            raise ValueError(unknown("layout", layout, LAYOUTS))
        super().__init__(resolution=resolution, **kwargs)
        self.init = init
        self.attention = attention
        self.layout = layout

    def _initializer(self) -> keras.initializers.Initializer:
        if self.init == "normal":
            return super()._initializer()
        return keras.initializers.Orthogonal(seed=self._layer_seed())

    def _normalized(self, kind: type, *args: Any, name: str, **kwargs: Any) -> Any:
        layer = self._new(kind, *args, name=name, **kwargs)
        return SpectralNormalization(layer, seed=self._layer_seed() or 0, name=name)

    def _attention(self, places: list[int]) -> SelfAttention | None:
        """The block, if any; `places` are the resolutions of the maps that it may stand on.

        Raises:
            ValueError: if it is to stand elsewhere.
        """
        if self.attention is None:
            return None
        if self.attention not in places:
            raise ValueError(
                f"`attention` must be the resolution of a feature map of {type(self).__name__} at "
                f"{self.resolution} px, one of {places}. Received: attention={self.attention}."
            )
        return self._new(SelfAttention, seed=self._layer_seed(), name="attention")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "init": self.init,
            "attention": self.attention,
            "layout": self.layout,
        }
