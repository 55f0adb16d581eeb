import io
import json
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from components.trainer.callbacks.runlog import RunLog


def _console(terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, width=200)


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def log(tmp_path):
    log = RunLog(str(tmp_path), _console())
    log.start(0, 400)
    yield log
    log.stop()


@pytest.fixture
def read_events(tmp_path):
    """What TensorBoard shows of the folder."""

    def read():
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0})
        return events.Reload()

    return read


def test_a_line_holds_whatever_numbers_it_is_given(log, tmp_path):
    log.write(3, 100, {"generator_loss": np.float32(0.25), "fid": 12, "input_wait": 0.0})
    (line,) = _lines(tmp_path / "log.jsonl")

    assert line.pop("seconds") >= 0
    assert line.pop("images_per_second") > 0
    assert line == {
        "step": 3,
        "images": 100,
        "generator_loss": 0.25,
        "fid": 12.0,
        "input_wait": 0.0,
    }


ATTEMPTS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 8), st.booleans()), min_size=1, max_size=4
)


@settings(max_examples=25, deadline=None)
@given(attempts=ATTEMPTS)
def test_what_was_not_checkpointed_is_dropped(tmp_path_factory, attempts):
    """However often training goes back, every log reads like one attempt."""
    folder = tmp_path_factory.mktemp("log")
    at, expected = 0, []
    log = None
    for back, steps, same_process in attempts:
        start = max(0, at - back)
        if log and same_process:
            log.rewind(start * 10)
        else:
            if log:
                log.stop()
            log = RunLog(str(folder), _console())
            log.start(start * 10, 1000)
        expected = [step for step in expected if step <= start]
        for step in range(start + 1, start + steps + 1):
            log.advance(step * 10)
            log.write(step, step * 10, {"generator_loss": step / 7})
            log.warn(f"at {step}")
            expected.append(step)
        at = start + steps
    log.stop()

    lines, warnings = (_lines(folder / f"{name}.jsonl") for name in ("log", "warnings"))
    assert [(line["step"], line["images"]) for line in lines] == [(s, 10 * s) for s in expected]
    assert [line["generator_loss"] for line in lines] == [step / 7 for step in expected]
    assert all(line["images_per_second"] > 0 for line in lines)
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert warnings == [{"images": 10 * s, "warning": f"at {s}"} for s in expected]


def test_tensorboard_shows_every_number_against_images_seen(log, read_events):
    log.write(5, 100, {"generator_loss": 0.5, "fid": 30.0})
    log.write(10, 200, {"generator_loss": 0.25})
    events = read_events()

    scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in ("step", "fid")}
    assert scalars == {"step": [(100, 5), (200, 10)], "fid": [(100, 30)]}
    tags = {"step", "seconds", "images_per_second", "generator_loss", "fid"}
    assert set(events.Tags()["scalars"]) == tags


def test_tensorboard_shows_one_attempt_of_a_resumed_training(tmp_path, read_events):
    for start, writes in ((0, (100, 200, 300)), (200, (250,))):
        log = RunLog(str(tmp_path), _console())
        log.start(start, 400)
        for images in writes:
            log.write(images, images, {"generator_loss": images / 8})
            log.grid(images, np.zeros((1, 2, 2, 1), np.uint8))
        log.stop()
    events = read_events()

    found = [(event.step, event.value) for event in events.Scalars("generator_loss")]
    assert found == [(100, 12.5), (200, 25.0), (250, 31.25)]
    assert [event.step for event in events.Images("samples")] == [100, 200, 250]


def test_grids_are_named_by_images_seen_and_in_tensorboard(log, tmp_path, read_events):
    log.grid(5, np.full((9, 4, 6, 1), 200, np.uint8))
    path = tmp_path / "grids" / "0000000005.png"

    with Image.open(path) as grid:
        assert grid.size == (20, 14)
    (shown,) = read_events().Images("samples")
    assert (shown.step, shown.width, shown.height) == (5, 20, 14)
    assert shown.encoded_image_string == path.read_bytes()


def test_histograms_hold_every_weight(log, read_events):
    weights = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    log.histograms(50, {"generator/kernel": weights, "generator/bias": np.zeros(3)})
    events = read_events()
    ((step, value),) = [(e.step, e.histogram_value) for e in events.Histograms("generator/kernel")]
    (bias,) = events.Histograms("generator/bias")

    assert step == 50
    assert (value.min, value.max, value.num) == (weights.min(), weights.max(), 200)
    assert value.sum == pytest.approx(weights.sum(dtype=np.float64))
    assert value.sum_squares == pytest.approx(np.square(weights.astype(np.float64)).sum())
    assert sum(value.bucket) == 200
    below_zero = sum(
        count for count, limit in zip(value.bucket, value.bucket_limit, strict=True) if limit <= 0
    )
    assert below_zero <= np.count_nonzero(weights <= 0)
    assert bias.histogram_value.num == sum(bias.histogram_value.bucket) == 3


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "no-folder"])
@pytest.mark.parametrize(("terminal", "expected"), [(True, "images/s"), (False, "0 s left")])
def test_progress_is_a_bar_on_a_terminal_and_plain_lines_in_a_log(
    tmp_path, terminal, expected, folder
):
    console = _console(terminal)
    log = RunLog(str(tmp_path) if folder else None, console)
    log.start(0, 200)
    log.advance(100)
    log.write(5, 100, {"generator_loss": 0.75, "fid": 41.118, "confidence": 0.9})
    log.write(10, 200, {"generator_loss": 0.5, "confidence": 0.8})
    log.stop()
    text = console.file.getvalue()

    assert expected in text
    assert "generator_loss 0.500, FID 41.12" in text
    assert "confidence" not in text
    assert ("\x1b" in text) is terminal


def test_the_last_fid_is_shown_after_a_resume(tmp_path):
    for start, values in ((0, {"fid": 33.0}), (100, {})):
        console = _console()
        log = RunLog(str(tmp_path), console)
        log.start(start, start + 100)
        log.write(1, start + 100, values)
        log.stop()

    assert "FID 33.00" in console.file.getvalue()


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = RunLog(None, _console())
    log.start(0, 10)
    log.write(1, 5, {"generator_loss": 1.0})
    log.grid(5, np.zeros((1, 2, 2, 1), np.uint8))
    log.histograms(5, {"kernel": np.ones(3)})
    log.warn("careful")
    log.rewind(0)
    log.stop()

    assert not list(tmp_path.iterdir())


def test_a_warning_stands_on_a_line_of_its_own(tmp_path):
    console = _console(terminal=True)
    # Like a run's handler: it holds the stream itself, past any redirection.
    handler = logging.StreamHandler(console.file)
    handler.setFormatter(logging.Formatter("<%(levelname)s %(message)s>"))
    logger = logging.getLogger("components")
    logger.addHandler(handler)
    try:
        log = RunLog(str(tmp_path), console)
        log.start(0, 200)
        log.advance(40)
        before = len(console.file.getvalue())
        log.warn("the discriminator always wins")
        log.advance(80)
        log.stop()
    finally:
        logger.removeHandler(handler)
    text = console.file.getvalue()[before:]

    bar, _, rest = text.partition("<WARNING the discriminator always wins>\n")
    # Erases the line that the bar stood on, and nothing comes between that and the warning.
    assert bar.rstrip("\r").endswith("\x1b[2K")
    assert "images/s" in rest
    assert _lines(tmp_path / "warnings.jsonl") == [
        {"images": 40, "warning": "the discriminator always wins"}
    ]
    assert not (tmp_path / "log.jsonl").exists()
