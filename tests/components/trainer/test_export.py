import json

import numpy as np
import pytest

from components.trainer import export

CLIENT = """
    import json, sys
    import tensorflow as tf
    model = tf.saved_model.load(sys.argv[1])
    served = model.signatures["serving_default"](latents=tf.ones([3, 8]))["images"]
    sampled = model.signatures["sample"](
        count=tf.constant(5), seed=tf.constant(7, tf.int64))["images"]
    print(json.dumps({
        "served": served.numpy().tolist(), "dtype": served.dtype.name,
        "sampled": sampled.numpy().tolist(), "sampled_dtype": sampled.dtype.name,
        "project": [name for name in sys.modules if name.split(".")[0] == "components"]}))
"""


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_plain_tensorflow_in_another_process_makes_the_same_images(
    make_trainer, run_python, tmp_path, dtype
):
    trainer = make_trainer("dcgan", dtype)
    trainer.train(images=32)
    path = str(tmp_path / "exported")
    trainer.export(path)

    process = run_python(CLIENT, path, isolated=True)
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]
    found = json.loads(out)
    served = np.array(found["served"])
    assert (found["dtype"], found["sampled_dtype"]) == ("float32", "uint8")
    assert found["project"] == []
    assert served.shape == (3, 8, 8, 1)
    assert np.abs(served).max() <= 1.0
    # The export computes in float32, the trainer perhaps in bfloat16: a grey level or so apart.
    difference = np.array(found["sampled"]).astype(int) - trainer.sample(5, seed=7)
    assert np.abs(difference).max() <= (1 if dtype == "float32" else 4)


def test_the_untrained_export_is_the_generator_before_training(make_trainer, tmp_path):
    trainer = make_trainer()
    before = trainer.sample(4)
    trainer.train(images=64)
    trainer.export_untrained(str(tmp_path / "untrained"))

    import tensorflow as tf

    loaded = tf.saved_model.load(str(tmp_path / "untrained"))
    outputs = loaded.signatures["sample"](count=tf.constant(4), seed=tf.constant(0, tf.int64))
    np.testing.assert_allclose(outputs["images"].numpy().astype(int), before, atol=1)
    assert not np.array_equal(trainer.sample(4), before)


def test_an_export_overwrites_nothing_and_leaves_nothing_half_done(make_trainer, tmp_path):
    trainer = make_trainer()
    trainer.export(str(tmp_path / "model"))
    with pytest.raises(FileExistsError, match="model exists"):
        trainer.export(str(tmp_path / "model"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_save_leaves_no_model(make_trainer, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(export.tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        make_trainer().export(str(tmp_path / "model"))
    assert not (tmp_path / "model").exists()
