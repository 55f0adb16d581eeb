"""Results do not depend on how many devices and processes share a batch."""

import json
import socket

import numpy as np
import pytest

IMAGES = 16 * 6

# Makes the same trainers as the `train` fixture. The MLP trains in one go. Each worker
# saves half of the DCGAN's training to its own folder; new trainers resume from the chief's.
WORKER = """
    import json, sys
    import numpy as np, tensorflow as tf
    from components.trainer import devices

    folder, options = sys.argv[2], json.loads(sys.argv[3])
    strategy = devices.strategy()
    rank = strategy.cluster_resolver.task_id

    def make(networks):
        from components.trainer import GANTrainer
        from components.trainer.networks import DISCRIMINATORS, GENERATORS
        digits = np.load(sys.argv[1])
        return GANTrainer(
            GENERATORS.get(networks)(8, (8, 8, 1), seed=0, width=16),
            DISCRIMINATORS.get(networks)((8, 8, 1), seed=1, width=16),
            digits, latent_dim=8, batch_size=16, seed=0, strategy=strategy,
            quality={"every_images": None}, **options)

    def save(trainer, path):
        networks = (trainer.generator, trainer.discriminator, trainer.ema_generator)
        np.savez(path, *(w for network in networks for w in network.get_weights()))

    mlp = make("mlp")
    mlp.train(16 * 6)
    save(mlp, f"{folder}/mlp-{rank}.npz")

    make("dcgan").train(16 * 3, folder=f"{folder}/{rank}")
    # The chief must have saved before anyone continues.
    strategy.reduce("SUM", strategy.run(lambda: tf.constant(1.0)), axis=None)
    dcgan = make("dcgan")
    dcgan.train(16 * 6, folder=f"{folder}/0")
    save(dcgan, f"{folder}/dcgan-{rank}.npz")
"""


# With Adam, rounding would be amplified to full steps where gradients are close to zero.
SGD = {"name": "sgd", "learning_rate": 0.05}
OPTIONS = {"generator_optimizer": SGD, "discriminator_optimizer": SGD}
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def trained():
    return {}


@pytest.fixture
def train(make_trainer):
    """Trains on a strategy, by default on one device; returns the weights of all networks."""

    def train(name, strategy=None):
        small = {"width": 16}
        trainer = make_trainer(
            name, generator=small, discriminator=small, strategy=strategy, **OPTIONS
        )
        trainer.train(IMAGES)
        networks = (trainer.generator, trainer.discriminator, trainer.ema_generator)
        return [weights for network in networks for weights in network.get_weights()]

    return train


@pytest.fixture
def alone(train, trained):
    """The weights after the same training on one device."""

    def weights(name):
        if name not in trained:
            trained[name] = train(name)
        return trained[name]

    return weights


@pytest.fixture
def arguments(tmp_path, digits):
    np.save(tmp_path / "digits.npy", digits)
    return tmp_path / "digits.npy", tmp_path, json.dumps(OPTIONS)


def _finish(processes):
    try:
        for process in processes:
            _, errors = process.communicate(timeout=400)
            assert process.returncode == 0, errors[-3000:]
    finally:
        # A worker whose peer has failed would wait forever.
        for process in processes:
            process.kill()


def _assert_same(path, expected):
    with np.load(path) as found:
        for name, weight in zip(found.files, expected, strict=True):
            np.testing.assert_allclose(found[name], weight, **TOLERANCE)


@pytest.mark.parametrize("name", ["mlp", "dcgan"])
def test_two_devices_learn_what_one_does(two_devices, train, alone, name):
    for found, expected in zip(train(name, strategy=two_devices), alone(name), strict=True):
        np.testing.assert_allclose(found, expected, **TOLERANCE)


def test_two_processes_learn_what_one_does_and_the_chief_keeps_it(
    run_python, arguments, alone, tmp_path
):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    for each in sockets:
        each.close()
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    configs = [json.dumps({"cluster": cluster, "task": task}) for task in tasks]
    _finish([run_python(WORKER, *arguments, environment={"TF_CONFIG": c}) for c in configs])

    for name in ("mlp", "dcgan"):
        for rank in range(2):
            _assert_same(tmp_path / f"{name}-{rank}.npz", alone(name))
    kept = tmp_path / "0"
    lines = (kept / "log" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["images"] for line in lines] == [IMAGES // 2, IMAGES]
    checkpoints = {path.stem for path in (kept / "checkpoints").glob("*.index")}
    assert checkpoints == {"ckpt-3", "ckpt-6"}
    assert not (tmp_path / "1").exists()
