"""Runs as tables and as JSON: `tfx-gan runs` and `tfx-gan compare`."""

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from components.common.costs import Cost
from components.common.registry import nearest
from pipeline.runs.comparison import NOTHING, Comparison, short
from pipeline.runs.history import Row

_DEFAULT_METRICS = ("fid", "kid", "precision", "recall", "coverage")
_VERSION_LENGTH = 7
# Widths in characters: of a table with five metrics, and of a pushed version.
_WIDE = 106
_STAGES_WIDTH = 36
_GATE_WIDTH = 10


def table(listed: Sequence[Row], names: Sequence[str] = (), width: int = _WIDE) -> Table:
    """The table of `tfx-gan runs`; lineage is `<artifact> <id>@<version of code or schema>`.

    Stages are those that were not cached, with their seconds and peak memory.

    Args:
      listed: the runs.
      names: metrics to show; by default FID, KID, precision, recall and coverage.
      width: of the terminal, in characters; on a narrow one, the metrics share a column, and
        stages stand below the run.

    Raises:
      ValueError: if one of the metrics is in no run.
    """
    known = {name for row in listed for name in row.metrics}
    for name in names:
        if name not in known:
            raise ValueError(f"--metric {name}: no run has it; {nearest(name, known)}")
    shown = names or [name for name in _DEFAULT_METRICS if name in known]
    heads = shown if width >= _WIDE else ["metrics"]
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    made.add_column("run", no_wrap=True)
    for head in heads:
        made.add_column(head, justify="right", no_wrap=True)
    beside = width >= _WIDE + _STAGES_WIDTH
    if beside:
        made.add_column("stages", no_wrap=True)
    made.add_column("gate", min_width=_GATE_WIDTH)
    made.add_column("lineage", no_wrap=True)
    for row in listed:
        values = [number(row.metrics.get(name)) for name in shown]
        if heads != shown:
            values = ["\n".join(map(" ".join, zip(shown, values, strict=True)))]
        local = datetime.datetime.fromisoformat(row.started).astimezone()
        words = [row.id, row.pipeline, f"started {local:%Y-%m-%d %H:%M}", row.state]
        stages = _stages_words(row.stages)
        made.add_row(
            Text("\n".join(filter(None, words if beside else [*words, stages]))),
            *values,
            *([Text(stages or NOTHING)] if beside else []),
            Text(_gate_words(row)),
            Text(_lineage_words(row.lineage)),
            end_section=True,
        )
    return made


def tables(comparison: Comparison) -> RenderableType:
    """The differences as two tables."""
    parts: list[RenderableType] = [Text(f"a  {comparison.a}\nb  {comparison.b}")]
    if comparison.not_compared:
        parts.append(Text(f"metrics not compared: {'; '.join(comparison.not_compared)}"))
    else:
        made = Table("metric")
        for head in ("a", "b", "b - a"):
            made.add_column(head, justify="right")
        for name, scores in comparison.metrics.items():
            made.add_row(
                name,
                Text(score(scores["a"])),
                Text(score(scores["b"])),
                number(scores["difference"], "+"),
            )
        parts.append(made)
    if comparison.stages:
        made = Table("stage", "a", "b")
        for name, found in comparison.stages.items():
            made.add_row(name, *(Text(stage(each)) for each in found))
        parts.append(made)
    if comparison.config:
        made = Table("configuration", "a", "b")
        for key, values in comparison.config.items():
            made.add_row(key, *(Text(short(value)) for value in values))
        parts.append(made)
    else:
        parts.append(Text("configuration: no difference"))
    return Group(*parts)


def to_json(content: Any) -> str:  # noqa: ANN401
    """Data classes as JSON, with null for NaN and infinities."""
    return json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False)


def number(value: float | None, sign: str = "") -> str:
    """Four significant digits, or a dash for None."""
    return NOTHING if value is None else f"{value:{sign}.4g}"


def stage(content: Mapping[str, Any] | None) -> str:
    """A stage of a row: what it took, or else its state; a dash for None."""
    if content is None:
        return NOTHING
    if "seconds" not in content:
        return str(content["state"])
    return str(Cost(content["seconds"], content["peak_gb"]))


def score(content: Mapping[str, Any] | None) -> str:
    """A score of metrics.json: its value and, if any, its interval."""
    if content is None:
        return NOTHING
    return f"{number(content['value'])} {interval(content)}".rstrip()


def interval(content: Mapping[str, Any]) -> str:
    """The interval of a score of metrics.json; empty if it has none."""
    low, high = content.get("low"), content.get("high")
    return "" if low is None or high is None else f"[{low:.4g}, {high:.4g}]"


def _finite(content: Any) -> Any:  # noqa: ANN401
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return _finite(dataclasses.asdict(content))
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def _gate_words(row: Row) -> str:
    if row.blessed is None:
        return NOTHING
    words = "blessed" if row.blessed else f"refused: {row.reasons.partition('; ')[0]}"
    return f"{words}\npushed {row.pushed}" if row.pushed else words


def _stages_words(stages: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"{name} {stage(each)}" for name, each in stages.items() if "seconds" in each]
    cached = sum(each["state"] == "cached" for each in stages.values())
    return "\n".join([*lines, *([f"{cached} cached"] if cached else [])])


def _lineage_words(lineage: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for key, origin in lineage.items():
        version = origin.get("content", origin.get("code_version"))
        word = f"{key} {origin['id']}"
        lines.append(f"{word}@{version[:_VERSION_LENGTH]}" if version else word)
        lines += [f"  {name} {origin[name]}" for name in ("span", "version") if name in origin]
    return "\n".join(lines) or NOTHING
