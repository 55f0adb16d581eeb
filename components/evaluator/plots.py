"""The training's log as curves: SVG that takes the colours of the page it stands in."""

import dataclasses
import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

# Told apart by the colour-blind, and seen on white and on black.
_COLOURS = ("#d9720f", "#3a86d6", "#2f9e77", "#b765b0")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tfx-gan",
    # A name from the log is text, whatever is in it.
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.prop_cycle": mpl.cycler(color=_COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
# So few points are measurements, each of which is worth a mark; more are a curve.
_MARKED = 40
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}


@dataclasses.dataclass(frozen=True)
class Curves:
    """One chart.

    Attributes:
      title: what it shows.
      svg: an <svg> element; black is `currentColor`, and its ids begin with a name of the chart.
      words: what is to be seen, for who does not see it.
    """

    title: str
    svg: str
    words: str


@dataclasses.dataclass(frozen=True)
class _Chart:
    name: str
    title: str
    # Which values of the log.
    pattern: str
    # Of what is never below, and looks rough on an axis that leaves zero out.
    from_zero: bool = False


_CHARTS = (
    _Chart("loss", "Losses", r"(?P<label>.*)_loss"),
    _Chart("fid", "FID while training", r"(?P<label>fid)", from_zero=True),
    _Chart("kid", "KID while training", r"(?P<label>kid)"),
    _Chart("rate", "Images per second", r"(?P<label>images_per_second)", from_zero=True),
)


def curves(log: Sequence[Mapping[str, Any]]) -> list[Curves]:
    """The charts of what is in the log.

    Args:
      log: lines with `images`, the images seen, and any of `*_loss`, `fid`, `kid` and
        `images_per_second`. Where a value is NaN or infinite its curve has a gap, and where none
        is finite there is no curve.
    """
    charts = []
    for chart in _CHARTS:
        series = _series(log, chart)
        if series:
            charts.append(Curves(chart.title, _svg(series, chart), _words(series)))
    return charts


# Images seen and values.
_Series = tuple[list[float], list[float]]


def _series(log: Sequence[Mapping[str, Any]], chart: _Chart) -> dict[str, _Series]:
    found: dict[str, _Series] = {}
    for line in log:
        for key, value in line.items():
            match = re.fullmatch(chart.pattern, key)
            if match and value is not None:
                label = match["label"].replace("_", " ")
                images, values = found.setdefault(label, ([], []))
                images.append(line["images"])
                values.append(float(value) if math.isfinite(value) else math.nan)
    return {label: (x, y) for label, (x, y) in found.items() if not all(map(math.isnan, y))}


def _svg(series: Mapping[str, _Series], chart: _Chart) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 2.6), layout="constrained")
        axes = figure.subplots()
        for label, (images, values) in series.items():
            marker = "o" if len(values) <= _MARKED else None
            axes.plot(images, values, label=label, marker=marker, markersize=3)
        axes.set_xlabel("images seen")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if chart.from_zero:
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        if len(series) > 1:
            # Beside the curves, wherever they run.
            figure.legend(loc="outside upper left", ncols=2)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace("#000000", "currentColor")
    # Two charts of one page must not share ids.
    return re.sub(r'(id="|href="#|url\(#)', rf"\1{chart.name}-", svg)


def _words(series: Mapping[str, _Series]) -> str:
    parts = []
    for label, (images, values) in series.items():
        finite = [value for value in values if not math.isnan(value)]
        parts.append(
            f"{label} from {finite[0]:.4g} to {finite[-1]:.4g}, "
            f"between {min(finite):.4g} and {max(finite):.4g}"
        )
        missing = len(values) - len(finite)
        if missing:
            parts[-1] += f", not finite at {missing} of {len(values)} points"
        parts[-1] += f", up to {images[-1]:,} images"
    return "; ".join(parts)
