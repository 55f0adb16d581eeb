"""PyTorch's turns in `speed.py`: the same networks in eager mode, channels last, fused Adam."""

import time
from typing import Any

import torch
from speed_turns import Loop, serve, timed
from torch import nn
from torch.nn import functional

torch.set_num_threads(torch.multiprocessing.cpu_count())


class Generator(nn.Module):
    """DCGAN for 28×28, as `components/trainer/networks/dcgan.py`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.deepest = 4 * width
        self.stem = nn.Sequential(
            nn.Linear(100, 49 * self.deepest, bias=False),
            nn.BatchNorm1d(49 * self.deepest),
            nn.LeakyReLU(0.2),
        )
        self.body = nn.Sequential(
            nn.ConvTranspose2d(self.deepest, 2 * width, 5, 1, 2, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(2 * width, width, 5, 2, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(width, 1, 5, 2, 2, 1),
            nn.Tanh(),
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        maps = self.stem(latents).view(-1, self.deepest, 7, 7)
        return self.body(maps.contiguous(memory_format=torch.channels_last))


def discriminator(width: int, batch_norm: bool) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 5, 2, 2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 5, 2, 2, bias=not batch_norm),
        nn.BatchNorm2d(2 * width) if batch_norm else nn.Identity(),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(49 * 2 * width, 1),
    )


def subject(question: dict[str, Any]) -> float | str | Loop:
    if "version" in question:
        return f"PyTorch {torch.__version__.partition('+')[0]}"
    if "peak" in question:
        return _peak(getattr(torch, question["peak"]))
    width, batch = question["width"], question["batch"]
    names = [penalty["name"] for penalty in question["penalties"]]
    makes, judges = (
        network.to(memory_format=torch.channels_last)
        for network in (Generator(width), discriminator(width, "gradient_penalty" not in names))
    )
    of_makes, of_judges = (
        torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999), fused=True)
        for network in (makes, judges)
    )
    data = torch.rand(4096, 1, 28, 28) * 2 - 1
    half = torch.autocast("cpu", torch.bfloat16, enabled=question["precision"] == "bfloat16")

    def penalise(points: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(logits.float().sum(), points, create_graph=True)[0].square()

    def step() -> None:
        real = data[torch.randint(0, len(data), (batch,))]
        real = real.contiguous(memory_format=torch.channels_last).requires_grad_("r1" in names)
        with half:
            fake = makes(torch.randn(batch, 100))
            of_real, of_fake = judges(real), judges(fake.detach())
        loss = functional.softplus(-of_real.float()).mean()
        loss = loss + functional.softplus(of_fake.float()).mean()
        if "r1" in names:
            loss = loss + 0.5 * penalise(real, of_real).sum([1, 2, 3]).mean()
        if "gradient_penalty" in names:
            share = torch.rand(batch, 1, 1, 1)
            points = (share * real + (1 - share) * fake.detach()).requires_grad_()
            with half:
                logits = judges(points)
            slopes = penalise(points, logits).sum([1, 2, 3]).add(1e-12).sqrt()
            loss = loss + 10 * (slopes - 1).square().mean()
        of_judges.zero_grad()
        loss.backward()
        of_judges.step()
        with half:
            of_fake = judges(fake)
        of_makes.zero_grad()
        functional.softplus(-of_fake.float()).mean().backward()
        of_makes.step()

    return timed(step)


def _peak(dtype: torch.dtype) -> float:
    """GFLOP/s of a product of two matrices of 2048×2048."""
    left, right = torch.randn(2048, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
    best = float("inf")
    for _ in range(20):
        started = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - started)
    return 2 * 2048**3 / best / 1e9


if __name__ == "__main__":
    serve(subject)
