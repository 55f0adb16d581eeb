import dataclasses
import io
import json
import math
import re

import pytest
from rich.console import Console

from pipeline.runs import history, listing


def _shown(renderable):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_metrics_can_be_chosen_and_an_unknown_one_is_named(root):
    root.complete("run", {"fid": 13.5, "kid": 0.25, "recall": 0.75, "density": 0.875})
    listed = history.rows(str(root.path))

    assert "0.875" not in _shown(listing.table(listed))
    shown = _shown(listing.table(listed, ["density"]))
    assert "0.875" in shown
    assert "13.5" not in shown
    assert re.search(r"fid 13\.5\b(.|\n)*recall 0\.75", _shown(listing.table(listed, width=80)))
    with pytest.raises(ValueError, match="--metric densty: no run has it; did you mean 'density'"):
        listing.table(listed, ["densty"])


@pytest.mark.parametrize("width", [80, 200])
def test_stages_are_listed_with_what_they_took_unless_they_were_cached(root, width):
    root.complete("run", {"fid": 13.5})
    (row,) = history.rows(str(root.path))
    stages = {
        "FindData": {"state": "cached"},
        "GANTrainer": {"state": "complete", "seconds": 72.04, "peak_gb": 1.499},
        "Pusher": {"state": "cached"},
    }
    row = dataclasses.replace(row, stages=stages)

    shown = _shown(listing.table([row], width=width))
    assert "GANTrainer 72.0 s, 1.50 GB" in shown
    assert "2 cached" in shown
    assert "FindData" not in shown


def test_json_has_null_for_what_json_cannot_say():
    row = history.Row("run", "", "", "complete", {"fid": math.inf}, None, "", None, {}, {})

    assert json.loads(listing.to_json([row]))[0]["metrics"] == {"fid": None}
    assert json.loads(listing.to_json([math.nan, (1.5, "a")])) == [None, [1.5, "a"]]
