"""The built-in spaces, by name; the keys are those that papers and benchmarks found to decide.

Lucic et al. 2018 (arXiv:1711.10337) searched the learning rate, beta_1, the penalty's weight, and
the ratio of updates; Kurach et al. 2019 (arXiv:1807.04720) found loss and penalty to matter less
than the normalisation, and each to need its own rate.
"""

from typing import Any

from components.common.registry import Registry
from components.trainer.config import TrainerConfig

SPACES: Registry[dict[str, Any]] = Registry("space")

_RATE = {"low": 5.0e-5, "high": 5.0e-3, "log": True}
_RATES = {
    f"{player}_optimizer": {"learning_rate": _RATE} for player in ("generator", "discriminator")
}
_BETAS = {key: {**section, "beta_1": {"choices": [0.0, 0.5]}} for key, section in _RATES.items()}
_WEIGHT = {"low": 0.01, "high": 10.0, "log": True}
_HALF_LIFE = {"low": 1000, "high": 50_000, "log": True}

SPACES.register("dcgan")(
    {
        **_BETAS,
        "batch_size": {"choices": [32, 64, 128]},
        "penalties": {"choices": [[], [{"name": "r1", "weight": _WEIGHT, "interval": 4}]]},
        "ema_half_life_images": _HALF_LIFE,
    }
)
SPACES.register("resnet")(
    {
        **_BETAS,
        "loss": {"choices": ["hinge", "non_saturating"]},
        "discriminator_steps": {"choices": [1, 2, 5]},
        "ema_half_life_images": _HALF_LIFE,
    }
)
SPACES.register("mlp")(
    {
        **_BETAS,
        "batch_size": {"choices": [32, 64, 128]},
        "penalties": {"choices": [[], [{"name": "r1", "weight": _WEIGHT}]]},
        "ema_half_life_images": _HALF_LIFE,
    }
)
# Relativistic pairing needs both penalties: Huang et al. 2024 (arXiv:2501.05441), section 2.
SPACES.register("r3gan")(
    {
        **_RATES,
        "loss": "relativistic_pairing",
        "penalties": [
            {"name": name, "weight": {"low": 0.05, "high": 50.0, "log": True}}
            for name in ("r1", "r2")
        ],
        "ema_half_life_images": _HALF_LIFE,
    }
)
SPACES.register("table")(
    {
        **_RATES,
        "batch_size": {"choices": [64, 128, 256]},
        "loss": "relativistic_pairing",
        "penalties": [{"name": name, "weight": _WEIGHT} for name in ("r1", "r2")],
        "ema_half_life_images": _HALF_LIFE,
    }
)
SPACES.register("projected")(
    {**_BETAS, "batch_size": {"choices": [16, 32, 64]}, "ema_half_life_images": _HALF_LIFE}
)


def default(trainer: TrainerConfig, *, table: bool) -> str:
    """The name of the space for a section `trainer`, as its presets are named.

    Raises:
      ValueError: for networks without a space of their own.
    """
    networks = trainer.networks
    names = ("table" if table else networks.discriminator, networks.generator)
    for name in names:
        if name in SPACES.names():
            return name
    raise ValueError(
        f"space: there is none for networks.generator: {networks.generator}; write one, or name "
        f"one of {', '.join(SPACES.names())}"
    )
