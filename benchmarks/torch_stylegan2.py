"""StyleGAN2 in PyTorch, at the settings of `train_step.py`, to time beside ours.

The computation that suits a CPU best: modulation scales the activations, since a kernel for each
image needs a grouped convolution, and low-pass filters are depthwise convolutions. Bias, gain and
activation take one pass where PyTorch has one for them. Layers and parameters are those of
`models/stylegan2`; styles, images and statistics are float32 under mixed precision.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn
from torch.nn import functional

LATENTS = 512
MAPPING_LAYERS = 8
MAPPING_LR_MULTIPLIER = 0.01
STYLE_MIXING = 0.9
W_AVG_DECAY = 0.995
GROUP = 4
LEAK, GAIN = 0.2, math.sqrt(2.0)
EPSILON = 1e-8
SIDES = (4, 8, 16, 32)
FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8.0

in_float32 = torch.autocast("cpu", enabled=False)


def channels_at(side: int, width: int) -> int:
    return min(width * SIDES[-1] // side, 512)


def blur(images: torch.Tensor, *, padding: int, stride: int = 1, gain: float = 1.0) -> torch.Tensor:
    kernel = gain * torch.outer(FILTER, FILTER)
    kernel = kernel.expand(images.shape[1], 1, -1, -1)
    return functional.conv2d(images, kernel, stride=stride, padding=padding, groups=images.shape[1])


def upsample(images: torch.Tensor) -> torch.Tensor:
    kernel = (4.0 * torch.outer(FILTER, FILTER)).expand(images.shape[1], 1, -1, -1)
    return functional.conv_transpose2d(images, kernel, stride=2, padding=1, groups=images.shape[1])


class Dense(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, *, activate: bool, lr: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.activate = activate
        factor = lr * (GAIN if activate else 1.0)
        self.coefficients = factor / math.sqrt(inputs), factor
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        of_weight, of_bias = self.coefficients
        outputs = functional.linear(inputs, self.weight * of_weight, self.bias * of_bias)
        return functional.leaky_relu(outputs, LEAK, inplace=True) if self.activate else outputs


class Conv(nn.Module):
    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        down: bool = False,
        activate: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.size, self.down, self.activate = size, down, activate
        self.factor = gain * (GAIN if activate else 1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if activate else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        weight = self.weight * (self.factor / math.sqrt(self.weight[0].numel()))
        if not self.activate:
            return functional.conv2d(blur(images, padding=1, stride=2), weight)
        if self.down:
            images, options = blur(images, padding=2), {"stride": 2}
        else:
            options = {"padding": self.size // 2}
        outputs = functional.conv2d(images, weight, self.bias * self.factor, **options)
        return functional.leaky_relu(outputs, LEAK, inplace=True)


class ModulatedConv(nn.Module):
    """A modulated convolution and what follows it: noise, bias and activation, or just a bias."""

    def __init__(self, inputs: int, outputs: int, size: int, *, up: bool = False) -> None:
        super().__init__()
        self.size, self.up, self.to_image = size, up, size == 1
        ends = (inputs, outputs) if up else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(*ends, size, size))
        self.affine = Dense(LATENTS, inputs, activate=False, bias=1.0)
        self.coefficient = 1.0 / math.sqrt(inputs * size**2)
        self.bias = nn.Parameter(torch.zeros(outputs))
        if not self.to_image:
            self.strength = nn.Parameter(torch.zeros(()))

    @in_float32
    def scales(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Factors on input and output channels."""
        before = self.affine(w) * self.coefficient
        if self.to_image:
            return before[:, :, None, None], None
        squares = self.weight.square().sum((2, 3))
        variances = before.square() @ (squares if self.up else squares.t())
        after = torch.rsqrt(variances + EPSILON) * GAIN
        return before[:, :, None, None], after[:, :, None, None]

    def forward(self, images: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        before, after = self.scales(w)
        images = images * before.to(images.dtype)
        if self.to_image:
            return functional.conv2d(images, self.weight).float() + self.bias[:, None, None]
        if self.up:
            outputs = functional.conv_transpose2d(images, self.weight, stride=2)
            outputs = blur(outputs, padding=1, gain=4.0)
        else:
            outputs = functional.conv2d(images, self.weight, padding=1)
        bias = (self.bias * GAIN)[:, None, None].to(outputs.dtype)
        noise = torch.randn(len(outputs), 1, *outputs.shape[2:]) * (self.strength * GAIN)
        outputs = torch.addcmul(bias, outputs, after.to(outputs.dtype)) + noise.to(outputs.dtype)
        return functional.leaky_relu(outputs, LEAK, inplace=True)


class StyleGAN2Generator(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [
            Dense(LATENTS, LATENTS, activate=True, lr=MAPPING_LR_MULTIPLIER)
            for _ in range(MAPPING_LAYERS)
        ]
        self.mapping = nn.Sequential(*layers)
        self.register_buffer("w_avg", torch.zeros(LATENTS))
        inputs = channels_at(4, width)
        self.constant = nn.Parameter(torch.randn(1, inputs, 4, 4))
        self.convs, self.to_images = nn.ModuleList(), nn.ModuleList()
        for side in SIDES:
            outputs = channels_at(side, width)
            if side > 4:
                self.convs.append(ModulatedConv(inputs, outputs, 3, up=True))
            self.convs.append(ModulatedConv(outputs, outputs, 3))
            self.to_images.append(ModulatedConv(outputs, 3, 1))
            inputs = outputs

    @in_float32
    def styles(self, latents: torch.Tensor) -> torch.Tensor:
        """w of every layer, some images' later ones from other latents."""
        w, others = self.to_w(latents), self.to_w(torch.randn_like(latents))
        with torch.no_grad():
            self.w_avg.lerp_(w.mean(0), 1.0 - W_AVG_DECAY)
        layers = 2 * len(SIDES)
        cutoffs = torch.randint(1, layers, (len(w), 1))
        cutoffs[torch.rand(len(w)) >= STYLE_MIXING] = layers
        first = (torch.arange(layers) < cutoffs)[:, :, None]
        return torch.where(first, w[:, None], others[:, None])

    def to_w(self, latents: torch.Tensor) -> torch.Tensor:
        square = latents.square().mean(1, keepdim=True)
        return self.mapping(latents * torch.rsqrt(square + EPSILON))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        styles = self.styles(latents).unbind(1)
        hidden = self.convs[0](self.constant, styles[0])
        images = self.to_images[0](hidden, styles[1])
        for index, to_image in enumerate(self.to_images[1:]):
            layer = 2 * index + 1
            hidden = self.convs[layer](hidden, styles[layer])
            hidden = self.convs[layer + 1](hidden, styles[layer + 1])
            images = upsample(images) + to_image(hidden, styles[layer + 2])
        return images


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        gain = math.sqrt(0.5)
        self.conv = Conv(inputs, inputs, 3)
        self.down = Conv(inputs, outputs, 3, down=True, gain=gain)
        self.shortcut = Conv(inputs, outputs, 1, activate=False, gain=gain)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.down(self.conv(hidden)) + self.shortcut(hidden)


class StyleGAN2Discriminator(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [channels_at(side, width) for side in SIDES[::-1]]
        blocks = (Residual(*pair) for pair in itertools.pairwise(channels))
        self.body = nn.Sequential(Conv(3, channels[0], 1), *blocks)
        self.conv = Conv(channels[-1] + 1, channels[-1], 3)
        self.dense = Dense(16 * channels[-1], channels_at(2, width), activate=True)
        self.to_logit = Dense(channels_at(2, width), 1, activate=False)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        hidden = self.conv(with_spread(self.body(images)))
        features = self.dense(hidden.flatten(1))
        with in_float32:
            return self.to_logit(features.float())


def with_spread(hidden: torch.Tensor) -> torch.Tensor:
    """Appends each group's standard deviation, averaged over all features, as a map."""
    groups = hidden.float().unflatten(0, (-1, GROUP))
    spread = torch.sqrt(groups.var(1, correction=0) + EPSILON).mean((1, 2, 3))
    maps = spread.repeat_interleave(GROUP)[:, None, None, None].to(hidden.dtype)
    return torch.cat([hidden, maps.expand(-1, 1, *hidden.shape[2:])], 1)
