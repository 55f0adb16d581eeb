"""Time and memory of FID and of the neighbour metrics, compared with other implementations.

    python benchmarks/metrics.py [--quick] [--only fid] [--out table.md]

Each contender runs in a separate process on the same float32 features, which are loaded before the
measurement. CPU seconds are summed over threads, and are more reliable than wall time on a shared
machine. Memory is the process's peak beyond that before the measurement. The other implementations
run in the environment that .ci/oracles makes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

_ROOT = Path(__file__).resolve().parents[1]
_OURS = "tfx-gan"
_DIMENSIONS = 2048


def ours_fid(real, fake):
    from components.features.distances import fid

    return lambda: fid(real, fake)


def ours_manifolds(real, fake):
    from components.features.neighbourhoods.manifolds import manifolds

    def run():
        found = manifolds(real, fake, k=5, density_k=5)
        of = (found.in_real, found.in_fake, found.density, found.covered)
        return [float(values.mean()) for values in of]

    return run


def clean_fid(real, fake):
    from cleanfid.fid import fid_from_feats

    return lambda: fid_from_feats(real, fake)


def pytorch_fid(real, fake):
    from pytorch_fid.fid_score import calculate_frechet_distance

    def moments(features):
        return features.mean(axis=0), np.cov(features, rowvar=False)

    return lambda: calculate_frechet_distance(*moments(real), *moments(fake))


def torch_fidelity_fid(real, fake):
    import torch
    from torch_fidelity import metric_fid

    def run():
        statistics = [
            metric_fid.fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake)
        ]
        found = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
        return found[metric_fid.KEY_METRIC_FID]

    return run


def torch_fidelity_prc(real, fake):
    import torch
    from torch_fidelity import metric_prc

    tensors = [torch.from_numpy(x) for x in (fake, real)]  # the generated ones are first
    return lambda: metric_prc.calculate_precision_recall_full(*tensors, 5)


def prdc(real, fake):
    from prdc import compute_prdc

    def run():
        found = compute_prdc(real, fake, 5)
        return [float(found[name]) for name in ("precision", "recall", "density", "coverage")]

    return run


# Implementations by name; a task is a name, the rows per set, and implementations.
_FID = {
    _OURS: ours_fid,
    "clean-fid": clean_fid,
    "pytorch-fid": pytorch_fid,
    "torch-fidelity": torch_fidelity_fid,
}
_PRDC = {
    _OURS: ours_manifolds,
    "prdc": prdc,
    "torch-fidelity (precision and recall only)": torch_fidelity_prc,
}
_TASKS = [
    ("FID", 50_000, _FID),
    ("PRDC", 10_000, _PRDC),
    ("PRDC", 20_000, _PRDC),
    ("PRDC", 50_000, {_OURS: ours_manifolds}),
]


def measure(make, folder):
    """Runs in a separate process; prints resources and score as JSON."""
    real, fake = (np.load(Path(folder) / f"{name}.npy") for name in ("real", "fake"))
    run = make(real, fake)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM, the peak
    before = memory("VmRSS")
    started, worked = time.monotonic(), time.process_time()
    with open(os.devnull, "w") as nowhere:
        printed, sys.stdout = sys.stdout, nowhere
        score = run()
        sys.stdout = printed
    found = {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - worked,
        "bytes": memory("VmHWM") - before,
        "score": [float(value) for value in np.atleast_1d(score)],
    }
    print(json.dumps(found))


def memory(field):
    """A field of /proc/self/status in bytes. (ru_maxrss would start from the parent's peak.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


def features(folder, rows, columns):
    """Writes real and fake features: positive, skewed and correlated, like pooled activations."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((64, columns), dtype=np.float32)
    for name, spread in {"real": 1.0, "fake": 0.9}.items():
        hidden = spread * rng.standard_normal((rows, 64), dtype=np.float32) @ mixing / 8
        hidden += rng.standard_normal((rows, columns), dtype=np.float32)
        np.save(Path(folder) / f"{name}.npy", np.maximum(hidden, 0, out=hidden))
        del hidden


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a hundredth of the rows, 64 columns")
    parser.add_argument("--only", choices=["fid", "prdc"], help="one of the metrics; default: both")
    parser.add_argument("--rows", type=int, help="only the tasks of so many rows")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        task, name = options.measure
        contenders = _FID if task == "FID" else _PRDC
        measure(contenders[name], options.folder)
        return
    oracles = subprocess.run(
        [_ROOT / ".ci/oracles", "--python"], check=True, capture_output=True, text=True
    ).stdout.strip()
    lines = [
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start.",
        "",
        "| metric | rows | implementation | seconds | CPU seconds | peak memory, MB | score |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for task, rows, contenders in _TASKS:
        if options.only not in (None, task.lower()) or options.rows not in (None, rows):
            continue
        columns = _DIMENSIONS
        if options.quick:
            rows, columns = rows // 100, 64
        with tempfile.TemporaryDirectory() as folder:
            features(folder, rows, columns)
            for name in contenders:
                python = sys.executable if name == _OURS else oracles
                command = [python, __file__, "--measure", task, name, "--folder", folder]
                environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONWARNINGS": "ignore"}
                done = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, text=True, env=environment
                )
                found = json.loads(done.stdout.splitlines()[-1])
                score = ", ".join(f"{value:.6g}" for value in found["score"])
                lines.append(
                    f"| {task} | {rows:,} | {name} | {found['seconds']:.1f} "
                    f"| {found['cpu']:.1f} | {found['bytes'] / 1e6:,.0f} | {score} |"
                )
                print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
