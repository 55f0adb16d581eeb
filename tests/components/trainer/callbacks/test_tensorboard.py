"""Event files as TensorBoard reads them, and grids."""

import types

import keras
import numpy as np
import pytest
from PIL import Image

from components.trainer.callbacks.json_log import JsonLog
from components.trainer.callbacks.sample_grids import SampleGrids
from components.trainer.callbacks.tensorboard import TensorBoard


def _network(weights=()):
    variables = [keras.Variable(values, name=name) for name, values in weights]
    return types.SimpleNamespace(trainable_variables=variables)


@pytest.fixture
def play(tmp_path, make_step, trainer_at):
    """Runs steps through the callbacks: a line per step, pictures every `every` images."""

    def play(steps, start=0, every=10, shape=(4, 6, 1), weights=()):
        samples = np.full((9, *shape), 200, np.uint8)
        trainer = trainer_at(
            start,
            data_shape=shape,
            grid_samples=lambda count: samples,
            generator=_network(weights),
            discriminator=_network(),
        )
        folder = str(tmp_path)
        callbacks = [JsonLog(folder, 10), SampleGrids(folder, every), TensorBoard(folder, every)]
        for callback in callbacks:
            callback.start(trainer)
        for step, terms, fid in steps:
            end = make_step(step, terms, fid=fid)
            for callback in callbacks:
                callback.step_end(trainer, end)
        for callback in callbacks:
            callback.stop(trainer)

    return play


def test_every_number_is_shown_against_images_seen(play, read_events):
    play([(10, {"generator_loss": 0.5}, 30.0), (20, {"generator_loss": 0.25}, None)])
    events = read_events()

    scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in ("step", "fid")}
    assert scalars == {"step": [(100, 10), (200, 20)], "fid": [(100, 30)]}
    expected = {"step", "seconds", "images_per_second", "generator_loss", "fid", "input_wait"}
    assert expected <= set(events.Tags()["scalars"])
    assert "images" not in events.Tags()["scalars"]


def test_a_resumed_training_is_shown_as_one(play, read_events):
    play([(step, {"generator_loss": step / 8}, None) for step in (10, 20, 30)])
    play([(25, {"generator_loss": 25 / 8}, None)], start=20)
    events = read_events()

    found = [(event.step, event.value) for event in events.Scalars("generator_loss")]
    assert found == [(100, 1.25), (200, 2.5), (250, 3.125)]
    assert [event.step for event in events.Images("samples")] == [100, 200, 250]


def test_grids_are_named_by_images_seen_and_shown_too(play, tmp_path, read_events):
    play([(5, {}, None)])
    path = tmp_path / "grids" / "0000000050.png"

    with Image.open(path) as grid:
        assert grid.size == (20, 14)
    (shown,) = read_events().Images("samples")
    assert (shown.step, shown.width, shown.height) == (50, 20, 14)
    assert shown.encoded_image_string == path.read_bytes()


def test_a_table_has_no_grids(play, tmp_path):
    play([(5, {}, None)], shape=(3,))

    assert not (tmp_path / "grids").exists()


def test_histograms_hold_every_weight(play, read_events):
    kernel = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    play([(5, {}, None)], weights=[("kernel", kernel), ("bias", np.zeros(3))])
    events = read_events()
    found = events.Histograms("generator/kernel")
    ((step, value),) = [(event.step, event.histogram_value) for event in found]
    (bias,) = events.Histograms("generator/bias")

    assert step == 50
    assert (value.min, value.max, value.num) == (kernel.min(), kernel.max(), 200)
    assert value.sum == pytest.approx(kernel.sum(dtype=np.float64))
    assert value.sum_squares == pytest.approx(np.square(kernel.astype(np.float64)).sum())
    assert sum(value.bucket) == 200
    below_zero = sum(
        count for count, limit in zip(value.bucket, value.bucket_limit, strict=True) if limit <= 0
    )
    assert below_zero <= np.count_nonzero(kernel <= 0)
    assert bias.histogram_value.num == sum(bias.histogram_value.bucket) == 3
