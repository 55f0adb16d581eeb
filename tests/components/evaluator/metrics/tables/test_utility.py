"""Train on synthetic, test on real."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from components.evaluator.metrics.tables import trees, utility
from components.evaluator.metrics.tables.utility import Rows

NAMES = ("noise", "x", "kind", "amount")
DISCRETE = np.array([False, False, True, False])


def rows(count, seed, noise=0.0, groups=None):
    """Codes; `kind` and `amount` follow from x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    kind = np.digitize(x + noise * rng.normal(size=count), [-0.5, 0.5]).astype(np.float64)
    amount = x + 0.3 * rng.normal(size=count)
    codes = np.stack([rng.normal(size=count), x, kind, amount], axis=1)
    return Rows(codes, None, None if groups is None else np.arange(count) % groups)


def measure(fake, train, real, names=NAMES, discrete=DISCRETE):
    return utility.measure(fake, train, real, names, discrete, seed=0)


def shuffled(made):
    return Rows(np.random.default_rng(0).permuted(made.codes, axis=0), None)


def with_missing(made):
    codes = made.codes.copy()
    codes[::5, 2] = codes[1::5, 3] = np.nan
    return Rows(codes, None, made.groups)


@pytest.mark.parametrize(
    ("make", "least", "most"),
    [
        pytest.param(lambda: rows(400, 1), 0.95, 1.05, id="as good as real"),
        pytest.param(lambda: with_missing(rows(400, 1)), 0.9, 1.05, id="with missing values"),
        pytest.param(lambda: rows(400, 1, noise=2), 0.5, 0.97, id="worse"),
        pytest.param(lambda: shuffled(rows(400, 1)), -0.3, 0.3, id="nothing hangs together"),
        pytest.param(
            lambda: Rows(np.zeros((400, 4)), None), 0, 0, id="one row, which teaches nothing"
        ),
        pytest.param(
            lambda: Rows(np.full((400, 4), np.nan), None), 0, 0, id="all missing, likewise"
        ),
    ],
)
def test_utility_is_what_fakes_teach(make, least, most):
    worth = measure(make(), rows(900, 2), rows(300, 3, groups=10))

    assert worth.targets == ("amount", "kind", "x")
    assert worth.from_fake.shape == worth.from_train.shape == (11, 3)
    assert least <= worth.ratios[0] <= most
    assert worth.from_train[0].min() > 0.8


def test_the_coefficients_are_those_of_scikit_learn():
    fake, train, real = rows(400, 1), rows(400, 2), rows(300, 3, groups=10)

    worth = measure(fake, train, real)

    model = trees.classifier(DISCRETE[[0, 1, 3]], 0)
    # The rows are taken in a random order, which says which are binned first, and no more.
    model.fit(fake.codes[:, [0, 1, 3]], fake.codes[:, 2])
    kept = real.groups != 4
    expected = roc_auc_score(
        real.codes[kept, 2],
        model.predict_proba(real.codes[kept][:, [0, 1, 3]]),
        multi_class="ovr",
        average="weighted",
    )
    assert worth.from_fake[5, 1] == pytest.approx(2 * expected - 1, abs=0.01)


def test_labels_that_all_have_are_what_is_predicted():
    def labelled(made):
        return Rows(made.codes[:, [0, 1, 3]], made.codes[:, 2].astype(np.int64), made.groups)

    sets = [labelled(each) for each in (rows(300, 1), rows(300, 2), rows(200, 3, groups=5))]
    names, discrete = ("noise", "x", "amount"), np.zeros(3, bool)

    assert measure(*sets, names, discrete).targets == ("label",)
    sets[0] = Rows(sets[0].codes, None)
    assert measure(*sets, names, discrete).targets == ("amount", "x", "noise")


def test_the_rarest_of_many_categories_are_predicted_together():
    def many(seed, groups=None):
        made = rows(900, seed, groups=groups)
        # Half of the rows are of four categories, the others of forty.
        rare = np.digitize(made.codes[:, 1], np.linspace(0, 2, 40)) + 4
        made.codes[:, 2] = np.where(made.codes[:, 1] < 0, made.codes[:, 2] % 4, rare)
        return made

    worth = measure(many(1), many(2), many(3, groups=4))

    assert worth.targets[1] == "kind"
    assert worth.from_fake[0, 1] > 0.8
    assert worth.from_train[0, 1] > 0.8


def noise(seed, count=300, width=3):
    codes = np.random.default_rng(seed).normal(size=(count, width))
    return Rows(codes, None, np.arange(count) % 4)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda seed: noise(seed), id="nothing can be predicted"),
        pytest.param(lambda seed: noise(seed, width=1), id="one column"),
        pytest.param(lambda seed: Rows(np.ones((60, 3)), None, np.arange(60) % 4), id="constant"),
        pytest.param(
            lambda seed: Rows(np.full((60, 3), np.nan), None, np.arange(60) % 4), id="missing"
        ),
        pytest.param(lambda seed: noise(seed, count=4), id="too few rows"),
    ],
)
def test_there_is_no_utility_where_real_rows_teach_nothing(make):
    width = make(0).codes.shape[1]

    assert measure(make(1), make(2), make(3), NAMES[:width], np.zeros(width, bool)) is None
