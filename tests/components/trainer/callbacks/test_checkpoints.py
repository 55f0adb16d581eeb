import os
import signal
import time

import numpy as np
import pytest

from components.trainer.callbacks.callback import Callback
from components.trainer.callbacks.checkpoints import Checkpoints, configuration_of, state_of
from components.trainer.rendezvous import RESUME_EXIT_CODE

# Everything with state: averages, schedules, adaptive augmentation, a penalty's averages and its
# start, dynamic loss scales, the best generator.
TRAIN = """
    import sys
    import numpy as np, tensorflow as tf
    tf.config.experimental.enable_op_determinism()
    from components.trainer import GANTrainer
    from components.trainer.networks import DISCRIMINATORS, GENERATORS

    folder, out = sys.argv[1:]
    data = np.random.default_rng(0).integers(0, 255, (100, 8, 8, 1), dtype=np.uint8)
    options = {"dtype": "mixed_float16", "width": 8}
    trainer = GANTrainer(
        GENERATORS.get("dcgan")(8, (8, 8, 1), **options),
        DISCRIMINATORS.get("dcgan")((8, 8, 1), seed=1, **options),
        data, latent_dim=8, batch_size=16, discriminator_steps=2,
        penalties=[{"name": "lecam", "options": {"start_step": 20}}, {"name": "bcr"},
                   {"name": "r1", "interval": 3, "weight": {"start": 1, "end": 0}}],
        augmentation={"adaptive": {"images": 3000}}, top_k={"start": 1.0, "end": 0.5},
        generator_optimizer={"learning_rate": {"start": 1e-3, "end": 1e-5}, "clip_norm": 1.0,
                             "beta_2": {"start": 0.9, "end": 0.99}},
        ema_ramp_up=0.5, quality={"every_images": 16 * 15, "samples": 50},
        checkpoint_every_images=16 * 5, log_every_images=16 * 10, grid_every_images=16 * 40)
    trainer.train(16 * 60, folder)
    networks = trainer.ema_generator, trainer.best_generator, trainer.discriminator
    np.savez(out, *[weights for network in networks for weights in network.get_weights()])
"""


def test_killed_and_resumed_is_bit_identical_to_never_interrupted(run_python, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = run_python(TRAIN, whole, tmp_path / "whole.npz")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]

    # At a random moment after these steps; the last one asks first.
    for number, (after, kill) in enumerate(
        [(10, signal.SIGKILL), (25, signal.SIGKILL), (40, signal.SIGTERM)]
    ):
        process = run_python(TRAIN, killed, tmp_path / "killed.npz")
        _wait_for(killed / "checkpoints" / f"ckpt-{after}.index", process)
        time.sleep(np.random.default_rng([os.getpid(), number]).uniform(0, 0.1))
        process.send_signal(kill)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == (RESUME_EXIT_CODE if kill == signal.SIGTERM else -kill)
        assert not (tmp_path / "killed.npz").exists()
    assert "the same command resumes from here" in errors
    process = run_python(TRAIN, killed, tmp_path / "killed.npz")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]

    with np.load(tmp_path / "whole.npz") as expected, np.load(tmp_path / "killed.npz") as found:
        assert len(expected.files) == len(found.files) > 0
        for name in expected.files:
            np.testing.assert_array_equal(expected[name], found[name])
    lines = [(folder / "log" / "log.jsonl").read_text().splitlines() for folder in (whole, killed)]
    assert len(lines[0]) == len(lines[1])


def _wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()[1][-2000:]
        time.sleep(0.02)


def test_a_half_written_checkpoint_is_not_loaded(make_trainer, tmp_path):
    trainer = make_trainer()
    trainer.train(32, str(tmp_path))
    # What is left behind if the next save is killed halfway.
    (tmp_path / "checkpoints" / "ckpt-9.data-00000-of-00001.tempstate1").write_bytes(b"half")
    (tmp_path / "checkpoints" / "ckpt-9.index").write_bytes(b"")

    resumed = make_trainer()
    resumed.train(32, str(tmp_path))
    assert resumed.images_seen == 32
    np.testing.assert_array_equal(
        resumed.generator.get_weights()[0], trainer.generator.get_weights()[0]
    )


def test_training_with_mirror_images_resumes_as_itself_alone(make_trainer, tmp_path):
    whole = make_trainer(mirror=True)
    whole.train(64)
    make_trainer(mirror=True).train(32, str(tmp_path))
    resumed = make_trainer(mirror=True)
    resumed.train(64, str(tmp_path))
    for ours, theirs in zip(
        resumed.generator.get_weights(), whole.generator.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)

    with pytest.raises(ValueError, match=r"data\.mirror: True there, nothing here"):
        make_trainer().train(64, str(tmp_path))


def test_a_damaged_checkpoint_is_passed_over(make_trainer, tmp_path, caplog):
    whole = make_trainer(checkpoint_every_images=32)
    whole.train(64, str(tmp_path))
    (last,) = (tmp_path / "checkpoints").glob("ckpt-4.data*")
    last.write_bytes(last.read_bytes()[:100])

    resumed = make_trainer(checkpoint_every_images=32)
    resumed.train(64, str(tmp_path))
    assert "ckpt-4 is damaged" in caplog.text
    np.testing.assert_array_equal(
        resumed.generator.get_weights()[0], whole.generator.get_weights()[0]
    )

    for file in (tmp_path / "checkpoints").glob("ckpt-*.data*"):
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="none of its 2 checkpoints can be read; delete"):
        make_trainer(checkpoint_every_images=32).train(96, str(tmp_path))


def test_two_checkpoints_are_kept(make_trainer, tmp_path):
    make_trainer(checkpoint_every_images=16).train(16 * 5, str(tmp_path))
    kept = sorted(name for name in os.listdir(tmp_path / "checkpoints") if name.endswith(".index"))
    assert kept == ["ckpt-4.index", "ckpt-5.index"]


CHANGED = {
    "loss": ({"loss": "hinge"}, "loss: non_saturating there, hinge here"),
    "batch": ({"batch_size": 8}, "batch_size: 16 there, 8 here"),
    "rate": (
        {"generator_optimizer": {"learning_rate": 0.1}},
        "generator_optimizer.learning_rate: 0.0002 there, 0.1 here",
    ),
    "network": ({"generator": {"width": 5}}, "generator.width: None there, 5 here"),
    "data": (
        {"dataset": np.zeros((50, 8, 8, 1), np.uint8)},
        "data.count: 1797 there, 50 here",
    ),
}


@pytest.mark.parametrize(("options", "message"), CHANGED.values(), ids=CHANGED)
def test_another_configuration_is_refused_by_its_keys(make_trainer, tmp_path, options, message):
    make_trainer().train(16, str(tmp_path))
    with pytest.raises(ValueError, match="another configuration") as caught:
        make_trainer(**options).train(32, str(tmp_path))
    assert message in str(caught.value)


def test_how_often_is_logged_may_change(make_trainer, tmp_path):
    make_trainer().train(16, str(tmp_path))
    trainer = make_trainer(log_every_images=16, checkpoint_every_images=16)
    trainer.train(32, str(tmp_path))
    assert trainer.images_seen == 32


def test_a_schedule_to_the_end_makes_the_length_part_of_the_configuration(make_trainer, tmp_path):
    options = {"ema_half_life_images": {"start": 0, "end": 100}}
    make_trainer(**options).train(32, str(tmp_path))
    with pytest.raises(ValueError, match="images: 32 there, 48 here"):
        make_trainer(**options).train(48, str(tmp_path))


def test_what_the_clock_saves_changes_no_weight(make_trainer, tmp_path):
    options = {"checkpoint_every_images": 32, "checkpoint_every_minutes": None}
    whole = make_trainer(**options)
    whole.train(16 * 5, str(tmp_path / "whole"))

    class Killer(Callback):
        def step_end(self, trainer, step):
            if step.step == 4:
                raise KeyboardInterrupt

    # Every step is later than this.
    often = {**options, "checkpoint_every_minutes": 1e-9}
    with pytest.raises(KeyboardInterrupt):
        make_trainer(**often, callbacks=[Killer()]).train(16 * 5, str(tmp_path / "often"))
    assert _saved(tmp_path / "often" / "checkpoints") == {3, 4}
    resumed = make_trainer(**options)
    resumed.train(16 * 5, str(tmp_path / "often"))
    for found, expected in zip(
        resumed.generator.get_weights(), whole.generator.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_what_the_clock_saves_is_not_rolled_back_to(make_trainer, tmp_path):
    options = {"checkpoint_every_images": 32, "checkpoint_every_minutes": 1e-9}
    trainer = make_trainer(
        **options, watch={"rollback": True}, quality={"every_images": 32, "samples": 50}
    )
    trainer.train(16 * 5, str(tmp_path))
    folder = tmp_path / "checkpoints"
    assert _saved(folder) == {4, 5}
    assert _saved(folder / "interim") == {1, 3}

    # The newest counts for a resume, wherever it lies.
    for path in folder.glob("ckpt-5*"):
        path.unlink()
    for path in folder.glob("ckpt-4*"):
        path.unlink()
    (folder / "checkpoint").unlink()
    again = make_trainer(
        **options, watch={"rollback": True}, quality={"every_images": 32, "samples": 50}
    )
    saved = Checkpoints(str(folder), configuration_of(again))
    assert saved.restore(state_of(again))
    assert int(again.step) == 3
    again.step.assign(0)
    assert not saved.restore(state_of(again), interim=False)
    assert int(again.step) == 0


def _saved(folder):
    return {int(path.stem.split("-")[1]) for path in folder.glob("ckpt-*.index")}
