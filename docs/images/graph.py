"""Draws a compiled pipeline: python docs/images/graph.py pipeline.yaml graph.svg"""

import sys
from pathlib import Path
from xml.sax.saxutils import escape

import yaml

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 170, 40, 34, 58, 24
_STYLE = """
  svg { background: #fff; font: 14px system-ui, sans-serif; }
  rect { fill: #f4f6fb; stroke: #4a6fa5; stroke-width: 1.5; }
  .lookup { stroke-dasharray: 5 3; fill: #fff; }
  text { fill: #1c2733; text-anchor: middle; dominant-baseline: middle; }
  path { fill: none; stroke: #8796a8; stroke-width: 1.4; marker-end: url(#head); }
  .parameter { stroke-dasharray: 1.5 4; stroke-linecap: round; }
  @media (prefers-color-scheme: dark) {
    svg { background: #10161d; } rect { fill: #1b2530; stroke: #7fa6dd; }
    .lookup { fill: #10161d; } text { fill: #e4ebf3; }
  }
"""


def draw(tasks: dict[str, dict]) -> str:
    """The tasks in rows by their distance from the start, as SVG."""
    levels: dict[str, int] = {}
    while len(levels) < len(tasks):
        for name, task in tasks.items():
            upstream = task.get("dependentTasks", [])
            if name not in levels and all(each in levels for each in upstream):
                levels[name] = 1 + max((levels[each] for each in upstream), default=-1)
    rows = [
        [name for name in tasks if levels[name] == row] for row in range(max(levels.values()) + 1)
    ]
    widest = max(map(len, rows))
    places = {}
    for row, names in enumerate(rows):
        # Every other row is shifted, so that arrows do not run through the boxes between.
        shift = (widest - len(names)) / 2 + (0.5 if row % 2 and len(names) < widest else 0)
        for column, name in enumerate(names):
            x = _MARGIN + (column + shift) * (_WIDTH + _GAP_X)
            places[name] = (x, _MARGIN + row * (_HEIGHT + _GAP_Y))
    width = 2 * _MARGIN + (widest + 0.5) * (_WIDTH + _GAP_X)
    height = 2 * _MARGIN + len(rows) * (_HEIGHT + _GAP_Y) - _GAP_Y
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        'aria-label="The compiled pipeline">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" style="fill:#8796a8;stroke:none"/>'
        "</marker></defs>",
    ]
    for name, task in tasks.items():
        for producer, kind in _producers(task).items():
            (x1, y1), (x2, y2) = places[producer], places[name]
            x1, y1, x2 = x1 + _WIDTH / 2, y1 + _HEIGHT, x2 + _WIDTH / 2
            bend = (y2 - y1) / 2
            lines.append(
                f'<path class="{kind}" d="M{x1:g} {y1:g} C{x1:g} {y1 + bend:g} {x2:g} '
                f'{y2 - bend:g} {x2:g} {y2:g}"/>'
            )
    for name, (x, y) in places.items():
        kind = "stage" if tasks[name].get("cachingOptions") else "lookup"
        lines.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="7"/>'
            f'<text x="{x + _WIDTH / 2:g}" y="{y + _HEIGHT / 2:g}">{escape(name)}</text>'
        )
    return "\n".join([*lines, "</svg>\n"])


def _producers(task: dict) -> dict[str, str]:
    """The tasks that a task takes something from: artifacts, parameters, or just its turn."""
    inputs = task.get("inputs", {})
    found = dict.fromkeys(task.get("dependentTasks", []), "parameter")
    for kind, key in (("parameter", "taskOutputParameter"), ("artifact", "taskOutputArtifact")):
        for given in inputs.get(f"{kind}s", {}).values():
            if key in given:
                found[given[key]["producerTask"]] = kind
    return found


if __name__ == "__main__":
    compiled, picture = sys.argv[1:]
    spec = next(yaml.safe_load_all(Path(compiled).read_text(encoding="utf-8")))
    # All stages are in a DAG of their own, which the exit handler waits for; Verdict is its last.
    exit_handler = {**spec["root"]["dag"]["tasks"]["ExitHandler"], "dependentTasks": ["Verdict"]}
    stages = spec["components"]["tfx-dag"]["dag"]["tasks"]
    Path(picture).write_text(draw({**stages, "ExitHandler": exit_handler}), encoding="utf-8")
