import logging

import pytest

from components.trainer.callbacks.json_log import JsonLog
from components.trainer.callbacks.progress_bar import ProgressBar


@pytest.fixture
def play(make_console, make_step, trainer_at):
    """Calls the callbacks for a training with two log lines; returns the console's output."""

    def play(folder, terminal=False, start=0, fids=(None, None)):
        console, trainer = make_console(terminal), trainer_at(start, (start + 2) * 10)
        log = JsonLog(folder and str(folder), every_images=10)
        callbacks = [log, ProgressBar(log, console)]
        for callback in callbacks:
            callback.start(trainer)
        for number, fid in enumerate(fids, 1):
            terms = {"generator_loss": 1 / (1 + number), "confidence": 0.9}
            step = make_step(start + number, terms, last=number == 2, fid=fid)
            for callback in callbacks:
                callback.step_end(trainer, step)
        for callback in callbacks:
            callback.stop(trainer)
        return console.file.getvalue()

    return play


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "no-folder"])
@pytest.mark.parametrize(("terminal", "expected"), [(True, "images/s"), (False, "0 s left")])
def test_progress_is_a_bar_on_a_terminal_and_plain_lines_in_a_log(
    play, tmp_path, terminal, expected, folder
):
    text = play(tmp_path if folder else None, terminal, fids=(41.118, None))

    assert expected in text
    assert "generator_loss 0.333, FID 41.12" in text
    assert "confidence" not in text
    assert ("\x1b" in text) is terminal


def test_the_last_fid_is_shown_after_a_resume(play, tmp_path):
    play(tmp_path, fids=(None, 33.0))

    assert "FID 33.00" in play(tmp_path, start=2)


def test_a_warning_stands_on_a_line_of_its_own(make_console, make_step, trainer_at):
    console, trainer = make_console(terminal=True), trainer_at(4)
    # Like the handler of a run, which holds the stream itself and bypasses redirection.
    handler = logging.StreamHandler(console.file)
    handler.setFormatter(logging.Formatter("<%(levelname)s %(message)s>"))
    logger = logging.getLogger("components")
    logger.addHandler(handler)
    try:
        bar = ProgressBar(JsonLog(None, every_images=1000), console)
        bar.start(trainer)
        before = len(console.file.getvalue())
        bar.warn(trainer, "the discriminator always wins")
        bar.step_end(trainer, make_step(8))
        bar.stop(trainer)
    finally:
        logger.removeHandler(handler)
    text = console.file.getvalue()[before:]

    shown, _, rest = text.partition("<WARNING the discriminator always wins>\n")
    # The bar's line is erased directly before the warning.
    assert shown.rstrip("\r").endswith("\x1b[2K")
    assert "images/s" in rest
