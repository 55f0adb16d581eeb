"""Curves, histograms, bars and associations: SVG in the colours of the page it stands in."""

import dataclasses
import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, PercentFormatter

from components.data.columns import Column

# Told apart by the colour-blind, and seen on white and on black.
ORANGE, BLUE = "#d9720f", "#3a86d6"
_COLOURS = (ORANGE, BLUE, "#2f9e77", "#b765b0")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tfx-gan",
    # A name from the log is text, whatever is in it.
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.prop_cycle": cycler(color=_COLOURS),
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
_MOST_BINS = 30
# Single whole numbers are shown up to so many, however few rows there are.
_WHOLE_BINS = 15
_LONGEST_NAME, _LONGEST_CATEGORY = 24, 14
_MICROSECONDS_A_DAY = 86400e6
# Nothing at 0, so that it is seen on white and on black.
_DIVERGING = LinearSegmentedColormap.from_list(
    "correlation",
    [(0.0, f"{BLUE}ff"), (0.5, f"{BLUE}00"), (0.5, f"{ORANGE}00"), (1.0, f"{ORANGE}ff")],
)
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}


@dataclasses.dataclass(frozen=True)
class Chart:
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
class _Curves:
    name: str
    title: str
    # Which values of the log.
    pattern: str
    # Of what is never below, and looks rough on an axis that leaves zero out.
    from_zero: bool = False


_CHARTS = (
    _Curves("loss", "Losses", r"(?P<label>.*)_loss"),
    _Curves("fid", "FID while training", r"(?P<label>fid)", from_zero=True),
    _Curves("kid", "KID while training", r"(?P<label>kid)"),
    _Curves("rate", "Images per second", r"(?P<label>images_per_second)", from_zero=True),
)


def curves(log: Sequence[Mapping[str, Any]]) -> list[Chart]:
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
            charts.append(Chart(chart.title, _svg(series, chart), _words(series)))
    return charts


# Images seen and values.
_Series = tuple[list[float], list[float]]


def _series(log: Sequence[Mapping[str, Any]], chart: _Curves) -> dict[str, _Series]:
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


def _svg(series: Mapping[str, _Series], chart: _Curves) -> str:
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
        return _element(figure, chart.name)


def _element(figure: Figure, name: str) -> str:
    """The <svg> of a figure; two of one page must not share names."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace("#000000", "currentColor")
    return re.sub(r'(id="|href="#|url\(#)', rf"\1{name}-", svg)


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


def histogram(column: Column, real: np.ndarray, fake: np.ndarray, place: int) -> Chart:
    """The shares of real rows, filled, and of fakes, a line, over the range of the real ones.

    Args:
      column: whose values these are; it has an order.
      real, fake: its values, [n] and [m]; fakes outside of the range count in the bin at its end,
        and missing values nowhere. One of each is there.
      place: of the chart among those of a page's columns.
    """
    missing = [float(np.isnan(values).mean()) for values in (real, fake)]
    real, fake = (values[~np.isnan(values)].astype(np.float64) for values in (real, fake))
    dates = column.type == "datetime"
    if dates:
        # As matplotlib counts them.
        real, fake = (values / _MICROSECONDS_A_DAY for values in (real, fake))
    low, high = real.min(), real.max()
    bins = min(_MOST_BINS, math.ceil(2 * len(real) ** (1 / 3)))
    if column.type == "integer":
        # As many whole numbers in each bin, or some would be empty for no other reason.
        width = math.ceil((high - low + 1) / max(bins, _WHOLE_BINS))
        edges = np.arange(low - 0.5, high + 0.5 + width, width)
    else:
        beside = 0.0 if high > low else max(abs(low), 1.0) / 2
        edges = np.linspace(low - beside, high + beside, bins + 1)
    shares = [
        np.histogram(values.clip(edges[0], edges[-1]), edges)[0] / len(values)
        for values in (real, fake)
    ]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.1, 1.9), layout="constrained")
        axes = figure.subplots()
        axes.stairs(shares[0], edges, fill=True, color=BLUE, alpha=0.45)
        axes.stairs(shares[1], edges, color=ORANGE, linewidth=1.6)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.locator_params(axis="y", nbins=4)
        if dates:
            locator = AutoDateLocator(minticks=2, maxticks=4)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        else:
            axes.locator_params(axis="x", nbins=4)
        svg = _element(figure, f"column-{place}")
    outside = np.mean((fake < low) | (fake > high))

    def text(value: float) -> str:
        if dates:
            return column.kind.text(column, round(value * _MICROSECONDS_A_DAY))
        return f"{value:.4g}"

    words = (
        f"real from {text(low)} to {text(high)}, fakes from {text(fake.min())} to "
        f"{text(fake.max())}, {100 * outside:.3g} % of them outside of the real range"
    )
    if any(missing):
        words += f"; missing: real {100 * missing[0]:.3g} %, fakes {100 * missing[1]:.3g} %"
    return Chart(column.name, svg, words)


def bars(title: str, names: Sequence[str], shares: np.ndarray, place: int) -> Chart:
    """The shares of categories: of real rows, filled, and of fakes, narrow.

    Args:
      title: name of the column.
      names: of the categories, from the top.
      shares: [2, names], of the real rows and of the fakes, in [0, 1].
      place: of the chart among those of a page's columns.
    """
    rows = np.arange(len(names))
    with mpl.rc_context({**_STYLE, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(3.1, 1.9), layout=ConstrainedLayoutEngine(w_pad=0.1))
        axes = figure.subplots()
        axes.barh(rows, shares[0], height=0.8, color=BLUE, alpha=0.45)
        axes.barh(rows, shares[1], height=0.2, color=ORANGE)
        axes.set_yticks(rows, [_short(name, _LONGEST_CATEGORY) for name in names], fontsize=8)
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.locator_params(axis="x", nbins=4)
        svg = _element(figure, f"column-{place}")
    words = "; ".join(
        f"{name}: real {100 * real:.3g} %, fakes {100 * fake:.3g} %"
        for name, real, fake in zip(names, *shares, strict=True)
    )
    return Chart(title, svg, words)


def matrix(title: str, associations: np.ndarray, columns: Sequence[str]) -> Chart:
    """Associations in [-1, 1], orange above 0 and blue below.

    Args:
      title: a word, which no other chart of a page has.
      associations: [d, d], of 2 columns or more.
      columns: their names, which stand at the side only; they have the same order across.
    """
    with mpl.rc_context({**_STYLE, "axes.grid": False}):
        # A browser's letters may be wider than those that the layout is made for.
        figure = Figure(figsize=(4.6, 3.4), layout=ConstrainedLayoutEngine(w_pad=0.15))
        axes = figure.subplots()
        axes.imshow(associations, _DIVERGING, vmin=-1, vmax=1, interpolation="none")
        axes.set_xticks([])
        axes.set_yticks(range(len(columns)), map(_short, columns), fontsize=8)
        svg = _element(figure, title)
    apart = associations - np.eye(len(columns))
    row, column = np.unravel_index(np.abs(apart).argmax(), apart.shape)
    words = f"the strongest, {columns[row]} and {columns[column]}, {apart[row, column]:.3g}"
    return Chart(title, svg, words)


def _short(name: str, longest: int = _LONGEST_NAME) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
