import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.trainer.gan.rng import StatelessRng


def _numbers(kind, rng, *shape):
    return getattr(rng, kind)(*shape).numpy()


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_the_nth_call_of_a_step_is_the_same_in_every_run(kind):
    first, again = StatelessRng(3, 10), StatelessRng(3, tf.constant(10, tf.int64))
    for _ in range(3):
        np.testing.assert_array_equal(_numbers(kind, first, 5, 2), _numbers(kind, again, 5, 2))


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_seeds_steps_and_calls_differ(kind):
    rng = StatelessRng(0, 0)
    numbers = [_numbers(kind, rng, 8) for _ in range(2)]
    numbers += [
        _numbers(kind, StatelessRng(*other), 8) for other in ((1, 0), (0, 1), (1, 1), (2**31, 0))
    ]
    assert len({tuple(row) for row in numbers}) == len(numbers)


def test_distributions():
    rng = StatelessRng(0, 0)
    uniform, normal = rng.uniform(100_000).numpy(), rng.normal(100_000).numpy()

    assert uniform.min() >= 0
    assert uniform.max() < 1
    np.testing.assert_allclose(np.histogram(uniform, 10, (0, 1))[0] / 1e5, 0.1, atol=0.005)
    assert [normal.mean(), normal.std()] == pytest.approx([0, 1], abs=0.02)
    assert (np.abs(normal) < 1).mean() == pytest.approx(0.6827, abs=0.01)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), st.integers(1, 5), st.sampled_from([(), (3,), (1, 1, 1)]))
def test_replicas_have_the_rows_of_the_global_batch(replicas, count, shape):
    for kind in ("uniform", "normal"):
        whole = _numbers(kind, StatelessRng(7, 4), count * replicas, *shape)
        parts = [
            _numbers(kind, StatelessRng(7, 4, tf.constant(replica), replicas), count, *shape)
            for replica in range(replicas)
        ]
        assert whole.dtype == np.float32
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_graph_draws_what_eager_code_draws_with_known_shapes():
    @tf.function
    def draw(step, replica):
        rng = StatelessRng(5, step, replica, replicas=2)
        numbers = rng.uniform(4, 3), rng.normal(4)
        assert [number.shape for number in numbers] == [(4, 3), (4,)]
        return numbers

    eager = StatelessRng(5, 9, 1, 2)
    expected = eager.uniform(4, 3), eager.normal(4)
    for number, other in zip(draw(tf.constant(9, tf.int64), tf.constant(1)), expected, strict=True):
        np.testing.assert_allclose(number, other, rtol=1e-6)
