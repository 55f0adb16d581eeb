import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from components.trainer.runlog import RunLog


def _console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=150)


def test_a_resumed_log_drops_what_was_not_checkpointed(tmp_path):
    for start, writes in ((0, (100, 200, 300)), (200, (300, 400))):
        log = RunLog(str(tmp_path), _console(terminal=False))
        log.start(start, 400)
        for images in writes:
            log.write(images // 10, images, {"generator_loss": images / 7})
        log.stop()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]

    assert [line["images"] for line in lines] == [100, 200, 300, 400]
    assert [line["step"] for line in lines] == [10, 20, 30, 40]
    assert lines[0]["generator_loss"] == 100 / 7
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert all(line["images_per_second"] > 0 for line in lines)


@pytest.mark.parametrize(("terminal", "expected"), [(True, "images/s"), (False, "0 s left")])
def test_progress_is_a_bar_on_a_terminal_and_plain_lines_in_a_log(tmp_path, terminal, expected):
    console = _console(terminal)
    log = RunLog(str(tmp_path), console)
    log.start(0, 200)
    log.advance(100)
    log.write(10, 200, {"generator_loss": 0.5})
    log.stop()
    text = console.file.getvalue()

    assert expected in text
    assert "generator_loss 0.500" in text
    assert ("\x1b" in text) is terminal


def test_grids_are_named_by_images_seen(tmp_path):
    log = RunLog(str(tmp_path), _console(terminal=False))
    log.start(0, 10)
    log.grid(5, np.full((9, 4, 6, 1), 200, np.uint8))

    with Image.open(tmp_path / "grids" / "0000000005.png") as grid:
        assert grid.size == (20, 14)
