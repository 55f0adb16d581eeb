"""The networks of `speed_torch.py`: those of `components/trainer/networks`, written for PyTorch."""

import torch
from torch import nn
from torch.nn import functional


class Reshaped(nn.Module):
    """[n, channels · height · width] to [n, channels, height, width], channels last in memory."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.shape = (channels, side, side)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        maps = values.view(-1, *self.shape)
        return maps.contiguous(memory_format=torch.channels_last)


def dcgan_generator(width: int, batch_norm: bool) -> nn.Module:
    """For 28×28×1; it always has batch norm."""
    deepest = 4 * width
    return nn.Sequential(
        nn.Linear(100, 49 * deepest, bias=False),
        nn.BatchNorm1d(49 * deepest),
        nn.LeakyReLU(0.2),
        Reshaped(deepest, 7),
        nn.ConvTranspose2d(deepest, 2 * width, 5, 1, 2, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(2 * width, width, 5, 2, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(width, 1, 5, 2, 2, 1),
        nn.Tanh(),
    )


def dcgan_discriminator(width: int, batch_norm: bool) -> nn.Module:
    """For 28×28×1."""
    return nn.Sequential(
        nn.Conv2d(1, width, 5, 2, 2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 5, 2, 2, bias=not batch_norm),
        nn.BatchNorm2d(2 * width) if batch_norm else nn.Identity(),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(49 * 2 * width, 1),
    )


class Sum(nn.Module):
    """Of two stacks on the same input."""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main, self.shortcut = main, shortcut

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.main(values) + self.shortcut(values)


def resnet_generator(width: int, batch_norm: bool) -> nn.Module:
    """For 32×32×3; it always has batch norm."""

    def block() -> nn.Module:
        main = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1),
        )
        return Sum(main, nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 1)))

    last = [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, 1, 1), nn.Tanh()]
    stem = [nn.Linear(100, 16 * width), Reshaped(width, 4)]
    return nn.Sequential(*stem, block(), block(), block(), *last)


class SumOverPlaces(nn.Module):
    """[n, channels, height, width] to [n, channels]."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.float().sum([2, 3])


def resnet_discriminator(width: int, batch_norm: bool) -> nn.Module:
    """For 32×32×3; it never has batch norm."""

    def block(inputs: int, *, halve: bool) -> nn.Module:
        pool = [nn.AvgPool2d(2)] if halve else []
        main = [
            *([] if inputs == 3 else [nn.ReLU()]),
            nn.Conv2d(inputs, width, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1),
            *pool,
        ]
        shortcut = [*pool, nn.Conv2d(inputs, width, 1)] if halve else []
        return Sum(nn.Sequential(*main), nn.Sequential(*shortcut))

    halving = [block(3, halve=True), block(width, halve=True)]
    same = [block(width, halve=False), block(width, halve=False)]
    return nn.Sequential(*halving, *same, nn.ReLU(), SumOverPlaces(), nn.Linear(width, 1))


class Blur(nn.Module):
    """Doubles or halves maps by the filter [1, 3, 3, 1], a depthwise convolution."""

    def __init__(self, channels: int, *, up: bool) -> None:
        super().__init__()
        self.channels, self.up = channels, up
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / (4 if up else 8)
        kernel = torch.outer(taps, taps).expand(channels, 1, 4, 4).contiguous()
        self.register_buffer("kernel", kernel)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        resample = functional.conv_transpose2d if self.up else functional.conv2d
        kernel = self.kernel.to(maps.dtype)
        return resample(maps, kernel, stride=2, padding=1, groups=self.channels)


class Basis(nn.Module):
    """A learned 4×4 map: times each channel of the latents, or its product with each channel."""

    def __init__(self, channels: int, *, generative: bool) -> None:
        super().__init__()
        self.generative = generative
        self.map = nn.Parameter(torch.randn(channels, 4, 4))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.generative:
            maps = values[:, :, None, None] * self.map
            return maps.contiguous(memory_format=torch.channels_last)
        return (values * self.map).sum([2, 3])


def _r3gan_blocks(width: int) -> list[nn.Module]:
    def block() -> nn.Module:
        inner = 2 * width
        last = nn.Conv2d(inner, width, 1, bias=False)
        nn.init.zeros_(last.weight)
        main = nn.Sequential(
            nn.Conv2d(width, inner, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(inner, inner, 3, 1, 1, groups=inner // 16),
            nn.LeakyReLU(0.2),
            last,
        )
        return Sum(main, nn.Identity())

    return [block(), block()]


def r3gan_generator(width: int, batch_norm: bool) -> nn.Module:
    """For 32×32×3; no network of R3GAN has batch norm."""
    stack = [nn.Linear(100, width, bias=False), Basis(width, generative=True)]
    stack += _r3gan_blocks(width)
    for _ in range(3):
        stack += [Blur(width, up=True), *_r3gan_blocks(width)]
    return nn.Sequential(*stack, nn.Conv2d(width, 3, 1, bias=False), nn.Tanh())


def r3gan_discriminator(width: int, batch_norm: bool) -> nn.Module:
    """For 32×32×3."""
    stack = [nn.Conv2d(3, width, 1, bias=False)]
    for _ in range(3):
        stack += [*_r3gan_blocks(width), Blur(width, up=False)]
    last = [Basis(width, generative=False), nn.Linear(width, 1, bias=False)]
    return nn.Sequential(*stack, *_r3gan_blocks(width), *last)


# By name: the generator's and the discriminator's function of width and of batch norm, which the
# discriminator has where its penalties allow it.
NETWORKS = {
    "dcgan": (dcgan_generator, dcgan_discriminator),
    "resnet": (resnet_generator, resnet_discriminator),
    "r3gan": (r3gan_generator, r3gan_discriminator),
}
