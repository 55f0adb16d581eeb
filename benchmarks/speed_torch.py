"""PyTorch's turns in `speed.py`: the same networks in eager mode, channels last, fused Adam."""

import time
from typing import Any

import torch
from speed_torch_networks import NETWORKS
from speed_turns import Loop, serve, timed
from torch.nn import functional

torch.set_num_threads(torch.multiprocessing.cpu_count())


def subject(question: dict[str, Any]) -> float | str | Loop:
    if "version" in question:
        return f"PyTorch {torch.__version__.partition('+')[0]}"
    if "peak" in question:
        return _peak(getattr(torch, question["peak"]))
    width, batch = question["width"], question["batch"]
    names = [penalty["name"] for penalty in question["penalties"]]
    makes, judges = (
        network(width, "gradient_penalty" not in names).to(memory_format=torch.channels_last)
        for network in NETWORKS[question["network"]]
    )
    of_makes, of_judges = (
        torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999), fused=True)
        for network in (makes, judges)
    )
    height, side, channels = question["shape"]
    data = torch.rand(4096, channels, height, side) * 2 - 1
    half = torch.autocast("cpu", torch.bfloat16, enabled=question["precision"] == "bfloat16")
    # R3GAN compares pairs.
    paired = question["network"] == "r3gan"

    def penalise(points: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(logits.float().sum(), points, create_graph=True)[0].square()

    def step() -> None:
        real = data[torch.randint(0, len(data), (batch,))]
        real = real.contiguous(memory_format=torch.channels_last).requires_grad_("r1" in names)
        with half:
            fake = makes(torch.randn(batch, 100))
            known = fake.detach().requires_grad_("r2" in names)
            of_real, of_fake = judges(real).float(), judges(known).float()
        if paired:
            loss = functional.softplus(of_fake - of_real).mean()
        else:
            loss = functional.softplus(-of_real).mean() + functional.softplus(of_fake).mean()
        if "r1" in names:
            loss = loss + 0.5 * penalise(real, of_real).sum([1, 2, 3]).mean()
        if "r2" in names:
            loss = loss + 0.5 * penalise(known, of_fake).sum([1, 2, 3]).mean()
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
            of_fake = judges(fake).float()
            of_real = judges(real.detach()).float() if paired else 0.0
        of_makes.zero_grad()
        functional.softplus(of_real - of_fake).mean().backward()
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
