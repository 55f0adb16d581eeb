"""The evaluation as one HTML file that needs nothing beside it."""

import base64
import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from components import images
from components.evaluator.gate import Verdict
from components.evaluator.scores import METRICS, Score

_TEMPLATE = "report.html.jinja"
# Orange and blue that are told apart by the colour-blind and seen on white and on black.
_COLOURS = ("#d9720f", "#3a86d6")
_SVG_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tfx-gan",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.prop_cycle": mpl.cycler(color=_COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


# What is scored: the head of its column, and what it is.
_SUBJECTS = {
    "model": ("This model", "the candidate"),
    "baseline": ("Last blessed", "the last blessed generator, under the same protocol"),
    "train": ("Real", "images of the train split: what a perfect generator would score"),
    "untrained": ("Untrained", "the same generator before training"),
    "noise": ("Noise", "uniformly random pixels"),
}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Everything the report shows.

    Attributes:
      model: where the candidate is.
      verdicts: the gate's.
      scores: by subject, then by metric: `model` and `train`, `untrained`, `noise`, and, where
        there is one, `baseline`.
      real, fake: uint8 [n, height, width, channels], shown beside each other.
      log: lines of the training's log: `images` and `images_per_second`, `*_loss`.
      protocol: `protocol.describe`'s.
      config: the recipe's section.
    """

    model: str
    verdicts: Sequence[Verdict]
    scores: Mapping[str, Mapping[str, Score]]
    real: np.ndarray
    fake: np.ndarray
    log: Sequence[Mapping[str, float]]
    protocol: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def blessed(self) -> bool:
        """Whether all rules are kept."""
        return all(verdict.passed for verdict in self.verdicts)


def render(evaluation: Evaluation) -> str:
    """The report as HTML; pictures and curves are in it, so that it can be sent on its own."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment.get_template(_TEMPLATE).render(
        evaluation=evaluation,
        subjects={name: _SUBJECTS[name] for name in evaluation.scores},
        metrics={name: METRICS.get(name) for name in METRICS.names()},
        grids={"Real": _grid(evaluation.real), "Generated": _grid(evaluation.fake)},
        curves=_curves(evaluation.log),
        config=json.dumps(evaluation.config, indent=2),
    )


def _number(value: float) -> str:
    return f"{value:.4g}"


def _grid(samples: np.ndarray) -> str:
    return base64.b64encode(images.png(images.grid(samples))).decode()


def _curves(log: Sequence[Mapping[str, float]]) -> dict[str, str]:
    """Title to SVG; nothing for an empty log."""
    if not log:
        return {}
    losses = [name for name in log[0] if name.endswith("_loss")]
    return {
        "Losses": _curve(log, losses, "losses"),
        "Images per second": _curve(log, ["images_per_second"], "rate"),
    }


def _curve(log: Sequence[Mapping[str, float]], names: Sequence[str], prefix: str) -> str:
    with mpl.rc_context(_SVG_STYLE):
        figure = Figure(figsize=(4.6, 2.6), layout="constrained")
        axes = figure.subplots()
        for name in names:
            axes.plot(
                [line["images"] for line in log],
                [line[name] for line in log],
                label=name.removesuffix("_loss"),
            )
        axes.set_xlabel("images seen")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if len(names) > 1:
            axes.legend()
        else:
            # From zero, or a steady rate looks like a rough one.
            axes.set_ylim(bottom=0)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # The page's colour, light or dark, in place of black; and names that are unique in the page.
    svg = svg.replace("#000000", "currentColor")
    return re.sub(r'(id="|href="#|url\(#)', rf"\1{prefix}-", svg)
