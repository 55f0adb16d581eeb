"""What the reference implementations say to the features of cases.py, as values.json.

Runs in the environment of .ci/oracles, not in the project's: it needs torch.

    .ci/oracles [--check]
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from cases import CASES, LOGITS, checksum
from cleanfid.fid import fid_from_feats
from prdc import compute_prdc
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

PACKAGES = ("clean-fid", "pytorch-fid", "torch-fidelity", "prdc", "torch", "numpy", "scipy")
VALUES = Path(__file__).with_name("values.json")
SEED, SUBSETS = 2020, 5


def moments(features):
    return features.mean(axis=0), np.cov(features, rowvar=False)


def torch_fidelity_fid(real, fake):
    statistics = [metric_fid.fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake)]
    return metric_fid.fid_statistics_to_metric(*statistics, verbose=False)[
        metric_fid.KEY_METRIC_FID
    ]


def torch_fidelity_kid(real, fake, subset_size):
    """Mean over subsets; with all rows in each, there is but one."""
    return metric_kid.kid_features_to_metric(
        torch.from_numpy(real),
        torch.from_numpy(fake),
        kid_subsets=SUBSETS,
        kid_subset_size=subset_size,
        rng_seed=SEED,
        verbose=False,
    )[metric_kid.KEY_METRIC_KID_MEAN]


def torch_fidelity_prc(real, fake):
    # Since 0.4.0 the generated ones are first; before, the real ones were.
    precision, recall = metric_prc.calculate_precision_recall_full(
        *(torch.from_numpy(np.ascontiguousarray(x)) for x in (fake, real)), 3
    )
    return {"precision": precision, "recall": recall}


def prdc(real, fake):
    return {
        f"{name} {k}": float(value)
        for k in (3, 5)
        for name, value in compute_prdc(real, fake, k).items()
    }


def attempt(function, *arguments):
    """Its value, or, as text, the error it ends with or the number that none is."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = function(*arguments)
    except (ValueError, AssertionError, RuntimeError, np.linalg.LinAlgError) as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(value, dict):
        return value
    return float(value) if np.isrealobj(value) and math.isfinite(value) else str(value)


def values():
    """As in values.json."""
    features = {}
    for name, make in CASES.items():
        print(name, file=sys.stderr)
        real, fake = make()
        fewest = min(len(real), len(fake))
        features[name] = {
            "checksum": checksum(real, fake),
            "fid": {
                "clean-fid": attempt(fid_from_feats, real, fake),
                "pytorch-fid": attempt(calculate_frechet_distance, *moments(real), *moments(fake)),
                "torch-fidelity": attempt(torch_fidelity_fid, real, fake),
            },
            "kid": {
                "rows": fewest // 2,
                "subsets": SUBSETS,
                "seed": SEED,
                "torch-fidelity": attempt(torch_fidelity_kid, real, fake, fewest // 2),
            },
            "torch-fidelity": attempt(torch_fidelity_prc, real, fake),
            "prdc": attempt(prdc, real, fake),
        }
    logits = {}
    for name, make in LOGITS.items():
        found = metric_isc.isc_features_to_metric(torch.from_numpy(make()), 10, shuffle=False)
        logits[name] = {
            "checksum": checksum(make()),
            "mean": found[metric_isc.KEY_METRIC_ISC_MEAN],
            "std": found[metric_isc.KEY_METRIC_ISC_STD],
        }
    # Without what says how it was built: torch's "+cpu" depends on where pip finds it.
    versions = {
        package: importlib.metadata.version(package).partition("+")[0] for package in PACKAGES
    }
    return {"versions": versions, "features": features, "logits": logits}


def differences(stored, found, where=""):
    """Lines that say where two trees of values differ: numbers by more than one in a million."""
    if isinstance(stored, dict) and isinstance(found, dict):
        return [
            line
            for key in sorted(stored.keys() | found.keys())
            for line in differences(stored.get(key), found.get(key), f"{where}/{key}")
        ]
    if isinstance(stored, float) and isinstance(found, float):
        same = math.isclose(stored, found, rel_tol=1e-6, abs_tol=1e-6)
    else:
        same = stored == found
    return [] if same else [f"{where}: {stored} in values.json, {found} now"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with values.json, not write")
    check = parser.parse_args().check
    found = values()
    if not check:
        VALUES.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return
    lines = differences(json.loads(VALUES.read_text(encoding="utf-8")), found)
    print("\n".join(lines) or "values.json is what the reference implementations say.")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
