import os
import signal
import time

import numpy as np

from components.trainer.checkpoints import Checkpoints

TRAIN = """
    import sys
    import numpy as np, tensorflow as tf
    tf.config.experimental.enable_op_determinism()
    from components.trainer.checkpoints import Checkpoints
    from components.trainer.networks import DISCRIMINATORS, GENERATORS
    from components.trainer.runlog import RunLog
    from components.trainer.training import GANTrainer

    folder, out = sys.argv[1:]
    data = np.random.default_rng(0).integers(0, 255, (100, 8, 8, 1), dtype=np.uint8)
    trainer = GANTrainer(
        GENERATORS.get("dcgan")(8, (8, 8, 1)), DISCRIMINATORS.get("dcgan")((8, 8, 1), seed=1),
        data, latent_dim=8, batch_size=16)
    trainer.train(
        images=16 * 120, log=RunLog(folder + "/log"), checkpoints=Checkpoints(folder),
        checkpoint_every_images=16 * 20, log_every_images=16 * 10, grid_every_images=16 * 40)
    weights = trainer.ema_generator.get_weights() + trainer.discriminator.get_weights()
    np.savez(out, *weights)
"""


def test_killed_and_resumed_is_bit_identical_to_never_interrupted(run_python, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = run_python(TRAIN, whole, tmp_path / "whole.npz")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]

    for kill_after in (20, 60):
        process = run_python(TRAIN, killed, tmp_path / "killed.npz")
        _wait_for(killed / f"ckpt-{kill_after}.index", process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "killed.npz").exists()
    process = run_python(TRAIN, killed, tmp_path / "killed.npz")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]

    with np.load(tmp_path / "whole.npz") as expected, np.load(tmp_path / "killed.npz") as found:
        assert len(expected.files) == len(found.files) > 0
        for name in expected.files:
            np.testing.assert_array_equal(expected[name], found[name])
    lines = [(folder / "log" / "log.jsonl").read_text().splitlines() for folder in (whole, killed)]
    assert len(lines[0]) == len(lines[1]) == 12


def _wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, "the training ended before it was killed"
        time.sleep(0.02)


def test_a_half_written_checkpoint_is_not_loaded(make_trainer, tmp_path):
    trainer = make_trainer()
    trainer.train(images=32, checkpoints=Checkpoints(str(tmp_path)))
    # What a kill in the middle of the next save leaves behind.
    (tmp_path / "ckpt-9.data-00000-of-00001.tempstate1").write_bytes(b"half")
    (tmp_path / "ckpt-9.index").write_bytes(b"")

    resumed = make_trainer()
    resumed.train(images=32, checkpoints=Checkpoints(str(tmp_path)))
    assert resumed.images_seen == 32
    np.testing.assert_array_equal(
        resumed.generator.get_weights()[0], trainer.generator.get_weights()[0]
    )


def test_two_checkpoints_are_kept(make_trainer, tmp_path):
    make_trainer().train(
        images=16 * 5, checkpoints=Checkpoints(str(tmp_path)), checkpoint_every_images=16
    )
    kept = sorted(name for name in os.listdir(tmp_path) if name.endswith(".index"))
    assert kept == ["ckpt-4.index", "ckpt-5.index"]
