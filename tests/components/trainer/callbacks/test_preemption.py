"""SIGTERM is handled in every step, and never lost."""

import os
import signal

import pytest

from components.trainer.callbacks import preemption
from components.trainer.callbacks.callback import Callback


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class _Killer(Callback):
    """A user's callback, called after the trainer's own."""

    def __init__(self, images):
        self._images = images

    def step_end(self, trainer, step):
        if step.images == self._images:
            _kill()


@pytest.mark.parametrize("images", [32, 48, 64], ids=["early", "later", "in the last step"])
@pytest.mark.parametrize("saving", [True, False])
def test_a_training_ends_and_is_taken_up_again(make_trainer, tmp_path, images, saving):
    options = {"batch_size": 16, "log_every_images": 16}
    folder = str(tmp_path) if saving else None
    with pytest.raises(preemption.Preempted) as stopped:
        make_trainer(**options, callbacks=[_Killer(images)]).train(64, folder)
    assert stopped.value.code == 75

    trainer = make_trainer(**options)
    trainer.train(64, folder)
    assert int(trainer.step) == 4
    assert stopped.value.message.startswith(f"SIGTERM at step {images // 16} ")
    assert ("resumes from here" in stopped.value.message) is saving


def test_a_sigterm_after_the_last_check_is_re_raised():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("SIGTERM"))
    try:
        with preemption.sigterm() as terminated:
            _kill()
            assert terminated()
            assert not heard
        assert heard == ["SIGTERM"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_error_inside_is_not_covered_up():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("SIGTERM"))
    try:
        with pytest.raises(preemption.Preempted), preemption.sigterm():
            _kill()
            raise preemption.Preempted("saved")
        assert heard == []
    finally:
        signal.signal(signal.SIGTERM, before)
