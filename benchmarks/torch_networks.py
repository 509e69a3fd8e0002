"""The networks in PyTorch, with one D and one G step, to time beside ours.

SNDCGAN and the small BigGAN are here, written as their authors' code computes them: upsampling
before a convolution and pooling after one, and each spectral norm a power iteration in every
forward pass. (StyleGAN2 has `torch_stylegan2.py`.) Layers and parameters are those of `models/`.
Everything a step of ours does is here too, the average of G's weights included; Adam is PyTorch's
fused one. As a script it answers questions, one line of JSON each:

    python benchmarks/torch_networks.py --model=biggan --batch_size=50 --width=64
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import torch_stylegan2
from benchmarks.memory import peak_gib
from benchmarks.timing import CLOCKS

LATENTS = 128
R1_WEIGHT = 0.1
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class SNDCGANGenerator(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.dense = nn.Linear(LATENTS, 16 * 8 * width)
        self.norm = nn.BatchNorm1d(16 * 8 * width)
        layers = []
        for inputs in (8 * width, 4 * width, 2 * width):
            layers += [
                nn.ConvTranspose2d(inputs, inputs // 2, 4, 2, 1),
                nn.BatchNorm2d(inputs // 2),
                nn.ReLU(inplace=True),
            ]
        self.ups = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 3, 1, 1))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        hidden = functional.relu(self.norm(self.dense(latents)), inplace=True)
        return torch.tanh(self.ups(hidden.view(-1, 8 * self.width, 4, 4)).float())


class SNDCGANDiscriminator(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [(3, 1, 1), (1, 2, 2), (2, 2, 1), (2, 4, 2), (4, 4, 1), (4, 8, 2), (8, 8, 1)]
        layers = []
        for index, (inputs, outputs, stride) in enumerate(sizes):
            inputs = inputs if index == 0 else inputs * width
            conv = nn.Conv2d(inputs, outputs * width, 3 if stride == 1 else 4, stride, 1)
            layers += [spectral_norm(conv), nn.LeakyReLU(0.1, inplace=True)]
        self.convs = nn.Sequential(*layers, nn.Flatten())
        self.to_logit = spectral_norm(nn.Linear(16 * 8 * width, 1))

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        return self.to_logit(self.convs(images)).float()


class ConditionalBatchNorm(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(classes, channels)
        self.bias = nn.Embedding(classes, channels)

    def forward(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        gain = 1 + self.gain(labels)[:, :, None, None]
        return self.norm(hidden) * gain + self.bias(labels)[:, :, None, None]


class GeneratorBlock(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm(channels, classes)
        self.norm2 = ConditionalBatchNorm(channels, classes)
        self.conv1 = spectral_norm(nn.Conv2d(channels, channels, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(channels, channels, 3, padding=1))
        self.shortcut = spectral_norm(nn.Conv2d(channels, channels, 1))

    def forward(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        outputs = functional.relu(self.norm1(hidden, labels), inplace=True)
        outputs = self.conv1(functional.interpolate(outputs, scale_factor=2))
        outputs = self.conv2(functional.relu(self.norm2(outputs, labels), inplace=True))
        return outputs + self.shortcut(functional.interpolate(hidden, scale_factor=2))


class BigGANGenerator(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.channels = 4 * width
        self.dense = spectral_norm(nn.Linear(LATENTS, 16 * self.channels))
        blocks = [GeneratorBlock(self.channels, classes) for _ in range(3)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.BatchNorm2d(self.channels)
        self.to_image = spectral_norm(nn.Conv2d(self.channels, 3, 3, padding=1))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        hidden = self.dense(latents).view(-1, self.channels, 4, 4)
        for block in self.blocks:
            hidden = block(hidden, labels)
        hidden = functional.relu(self.norm(hidden), inplace=True)
        return torch.tanh(self.to_image(hidden).float())


class DiscriminatorBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, is_first: bool, downsample: bool) -> None:
        super().__init__()
        self.is_first, self.downsample = is_first, downsample
        self.conv1 = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(outputs, outputs, 3, padding=1))
        has_conv = inputs != outputs or downsample
        self.shortcut = spectral_norm(nn.Conv2d(inputs, outputs, 1)) if has_conv else nn.Identity()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        outputs = self.conv1(hidden if self.is_first else functional.relu(hidden))
        outputs = self.conv2(functional.relu(outputs, inplace=True))
        if not self.downsample:
            return outputs + self.shortcut(hidden)
        pool = functional.avg_pool2d
        if self.is_first:
            return pool(outputs, 2) + self.shortcut(pool(hidden, 2))
        return pool(outputs, 2) + pool(self.shortcut(hidden), 2)


class BigGANDiscriminator(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        channels = 4 * width
        self.blocks = nn.Sequential(
            *(
                DiscriminatorBlock(
                    channels if index else 3, channels, is_first=index == 0, downsample=index < 2
                )
                for index in range(4)
            )
        )
        self.to_logit = spectral_norm(nn.Linear(channels, 1))
        self.embedding = spectral_norm(nn.Embedding(classes, channels))

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        features = functional.relu(self.blocks(images), inplace=True).float().sum((2, 3))
        projected = (self.embedding(labels) * features).sum(1, keepdim=True)
        return self.to_logit(features).float() + projected


def networks(model: str, width: int, classes: int) -> tuple[nn.Module, nn.Module]:
    """The generator and the discriminator."""
    if model == "sndcgan":
        return SNDCGANGenerator(width), SNDCGANDiscriminator(width)
    if model == "stylegan2":
        return (
            torch_stylegan2.StyleGAN2Generator(width),
            torch_stylegan2.StyleGAN2Discriminator(width),
        )
    return BigGANGenerator(width, classes), BigGANDiscriminator(width, classes)


def parameters(network: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in network.parameters())


Batch = tuple[torch.Tensor, torch.Tensor]
Judge = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def hinge(judge: Judge, reals: Batch, fakes: Batch) -> torch.Tensor:
    real, fake = judge(*map(torch.cat, zip(reals, fakes, strict=True))).chunk(2)
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()


def logistic_with_r1(judge: Judge, reals: Batch, fakes: Batch) -> torch.Tensor:
    # In a pass of their own, the reals' logits serve R1 too.
    images = reals[0].detach().requires_grad_()
    real, fake = judge(images, reals[1]), judge(*fakes)
    (gradient,) = torch.autograd.grad(real.sum(), images, create_graph=True)
    penalty = 0.5 * R1_WEIGHT * gradient.square().sum((1, 2, 3)).mean()
    return functional.softplus(-real).mean() + functional.softplus(fake).mean() + penalty


def negative_log_sigmoid(logits: torch.Tensor) -> torch.Tensor:
    return functional.softplus(-logits)


# Length of z, loss of D, loss of G.
RECIPES = {
    "sndcgan": (LATENTS, hinge, torch.neg),
    "biggan": (LATENTS, hinge, torch.neg),
    "stylegan2": (torch_stylegan2.LATENTS, logistic_with_r1, negative_log_sigmoid),
}


def make_step(arguments: argparse.Namespace, layout: str) -> Callable[[], None]:
    """One D and one G step on random images in a memory layout."""
    made = networks(arguments.model, arguments.width, arguments.num_classes)
    generator, discriminator = (network.to(memory_format=LAYOUTS[layout]) for network in made)
    average = copy.deepcopy(generator).requires_grad_(False)
    optimizers = [
        torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999), fused=True)
        for network in (generator, discriminator)
    ]
    batch, classes = arguments.batch_size, arguments.num_classes
    latent_dim, discriminator_loss, generator_loss = RECIPES[arguments.model]
    images = (2 * torch.rand(batch, 3, 32, 32) - 1).to(memory_format=LAYOUTS[layout])
    reals = images, torch.randint(classes, (batch,))
    low = torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bfloat16")

    def fakes() -> Batch:
        labels = torch.randint(classes, (batch,))
        with low:
            return generator(torch.randn(batch, latent_dim), labels), labels

    def judge(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with low:
            return discriminator(images, labels)

    def step() -> None:
        discriminator.requires_grad_(True)
        with torch.no_grad():
            made = fakes()
        update(optimizers[1], discriminator, discriminator_loss(judge, reals, made))
        discriminator.requires_grad_(False)
        update(optimizers[0], generator, generator_loss(judge(*fakes())).mean())
        with torch.no_grad():
            for mean, value in zip(average.parameters(), generator.parameters(), strict=True):
                mean.lerp_(value, 1e-3)

    def update(optimizer: torch.optim.Optimizer, network: nn.Module, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        # Of nothing else: R1 watches its images.
        loss.backward(inputs=list(network.parameters()))
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=RECIPES, required=True)
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--num_classes", type=int, default=10)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    arguments = parser.parse_args()
    steps: dict[str, Callable[[], None]] = {}
    for question in map(json.loads, sys.stdin):
        if question == "parameters":
            made = networks(arguments.model, arguments.width, arguments.num_classes)
            answer = [parameters(network) for network in made]
        elif question == "peak":
            answer = peak_gib()
        else:
            if question not in steps:
                steps[question] = make_step(arguments, question)
            start = CLOCKS[arguments.clock]()
            steps[question]()
            answer = CLOCKS[arguments.clock]() - start
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
