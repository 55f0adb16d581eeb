import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.trainer import data


def _steps(count, steps, **options):
    numbered = np.arange(count, dtype=np.int32)[:, np.newaxis]
    options = {"latent_dim": 2, "seed": 3, "discriminator_steps": 1, **options}
    batches = data.training_batches(numbered, **options)
    return list(itertools.islice(batches.as_numpy_iterator(), steps))


@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(4, 40),
    batch_size=st.integers(1, 4),
    discriminator_steps=st.integers(1, 3),
    first_step=st.integers(0, 30),
)
def test_starting_later_sees_what_would_have_been_seen(
    count, batch_size, discriminator_steps, first_step
):
    options = {"batch_size": batch_size, "discriminator_steps": discriminator_steps}
    whole = _steps(count, first_step + 3, **options)
    later = _steps(count, 3, first_step=first_step, **options)

    for (real, latents), (real_later, latents_later) in zip(whole[-3:], later, strict=True):
        np.testing.assert_array_equal(real, real_later)
        np.testing.assert_array_equal(latents, latents_later)


@settings(max_examples=10, deadline=None)
@given(count=st.integers(2, 30), batch_size=st.integers(1, 7))
def test_every_epoch_holds_every_datum_once(count, batch_size):
    seen = np.concatenate(
        [real.ravel() for real, _ in _steps(count, 2 * count, batch_size=batch_size)]
    )
    epochs = seen[: len(seen) // count * count].reshape(-1, count)

    np.testing.assert_array_equal(np.sort(epochs, axis=1), [np.arange(count)] * len(epochs))


def test_epochs_have_orders_of_their_own_and_the_seed_decides_them():
    first, second = (real.ravel() for real, _ in _steps(50, 2, batch_size=50))
    (other, _), *_ = _steps(50, 1, batch_size=50, seed=4)

    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other.ravel())


def test_shapes_and_fresh_latents():
    (real, latents), (_, next_latents) = _steps(20, 2, batch_size=4, discriminator_steps=3)

    assert real.shape == (4, 3, 1)
    assert latents.shape == (4, 3, 2)
    assert len(np.unique(np.concatenate([latents.ravel(), next_latents.ravel()]))) == 48
