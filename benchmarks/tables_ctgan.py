"""CTGAN on a table, for `tables.py`, which runs this in CTGAN's own environment.

    python tables_ctgan.py TRAIN.csv DISCRETE SECONDS COUNT OUT.csv

DISCRETE is a JSON list of columns. The last line printed is JSON: seconds and rows of the training.
"""

import json
import sys
import time

import pandas as pd
from ctgan import CTGAN


def main(train: str, discrete: str, seconds: str, count: str, out: str) -> None:
    """Trains for as many epochs as fit, and writes the samples."""
    rows, columns = pd.read_csv(train), json.loads(discrete)

    def fitted(epochs: int) -> tuple[CTGAN, float]:
        model, started = CTGAN(epochs=epochs), time.perf_counter()
        model.fit(rows, columns)
        return model, time.perf_counter() - started

    # The first fit takes longer; of later ones, the rest is the fit of the columns' transforms.
    fitted(1)
    one, three = fitted(1)[1], fitted(3)[1]
    epoch = (three - one) / 2
    epochs = max(1, int((float(seconds) - (one - epoch)) / epoch))
    model, took = fitted(epochs)
    model.sample(int(count)).to_csv(out, index=False)
    print(json.dumps([took, epochs * len(rows)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
