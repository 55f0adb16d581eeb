import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.trainer.callbacks.json_log import JsonLog


def test_a_line_holds_means_and_what_was_measured(tmp_path, read_lines, make_step, trainer_at):
    log, trainer = JsonLog(str(tmp_path), every_images=30), trainer_at(0)
    trainer.scheduled = {"learning_rate": 0.125}
    log.start(trainer)
    for step, loss in enumerate([0.0, 0.25, 0.5], 1):
        log.step_end(trainer, make_step(step, {"generator_loss": loss}))
    log.step_end(trainer, make_step(4, {"generator_loss": 3.0}, fid=12))
    first, second = read_lines(tmp_path / "log.jsonl")

    for line in (first, second):
        assert line.pop("seconds") >= 0
        assert line.pop("images_per_second") > 0
        assert line.pop("memory_gb") > 0
    common = {"learning_rate": 0.125, "input_wait": 0.0}
    assert first == {"step": 3, "images": 30, "generator_loss": 0.25, **common}
    assert second.items() >= {"step": 4, "images": 40, "generator_loss": 3.0, "fid": 12.0}.items()
    assert log.last("fid") == 12.0
    assert log.last("no such name") is None


def test_a_lazy_penalty_is_averaged_over_the_steps_that_had_it(make_step, trainer_at):
    log, trainer = JsonLog(None, every_images=20), trainer_at(0)
    log.start(trainer)
    log.step_end(trainer, make_step(1, {"generator_loss": 1.0, "r1": 8.0}))
    log.step_end(trainer, make_step(2, {"generator_loss": 3.0}))

    assert (log.values["generator_loss"], log.values["r1"]) == (2.0, 8.0)


ATTEMPTS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 8), st.booleans()), min_size=1, max_size=4
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(attempts=ATTEMPTS)
def test_what_was_not_checkpointed_is_dropped(
    tmp_path_factory, read_lines, make_step, trainer_at, attempts
):
    """However often training rolls back or restarts, the log is that of a single run."""
    folder = tmp_path_factory.mktemp("log")
    at, expected = 0, []
    log = None
    for back, steps, same_process in attempts:
        start = max(0, at - back)
        if not (log and same_process):
            log = JsonLog(str(folder), every_images=10)
        log.start(trainer_at(start))
        expected = [step for step in expected if step <= start]
        for step in range(start + 1, start + steps + 1):
            log.step_end(trainer_at(step), make_step(step, {"generator_loss": step / 8}))
            log.warn(trainer_at(step), f"at {step}")
            expected.append(step)
        at = start + steps

    lines, warnings = (read_lines(folder / f"{name}.jsonl") for name in ("log", "warnings"))
    assert [(line["step"], line["images"]) for line in lines] == [(s, 10 * s) for s in expected]
    assert [line["generator_loss"] for line in lines] == [step / 8 for step in expected]
    assert all(line["images_per_second"] > 0 for line in lines)
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert warnings == [{"images": 10 * s, "warning": f"at {s}"} for s in expected]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch, make_step, trainer_at):
    monkeypatch.chdir(tmp_path)
    log, trainer = JsonLog(None, every_images=10), trainer_at(0)
    log.start(trainer)
    log.step_end(trainer, make_step(1, {"generator_loss": 1.0}))
    log.warn(trainer, "careful")
    log.start(trainer)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("every", "last", "due"),
    [
        (None, True, False),
        (20, False, True),
        (25, False, False),
        (7, False, True),
        (99, True, True),
    ],
)
def test_a_length_is_due_where_a_multiple_of_it_was_passed(make_step, every, last, due):
    # Step 2 of ten images: from 10 to 20.
    assert make_step(2, last=last).is_due(every) is due


def test_terms_stay_on_the_device_until_a_line_is_due(make_step, trainer_at, monkeypatch):
    log, trainer = JsonLog(None, every_images=1000), trainer_at(0)
    log.start(trainer)
    step = make_step(1, {"generator_loss": 1.0})
    monkeypatch.setattr(type(tf.constant(0.0)), "numpy", lambda _: pytest.fail("fetched"))
    log.step_end(trainer, step)

    assert step.line is None
