"""Loads a generator as a server would: in a separate process, with only TensorFlow.

    python -I -c "import runpy, sys; sys.path.append('components'); \
        runpy.run_module('infra_validator.probe', run_name='__main__')" MODEL_DIR WITNESS.npz

Prints one line of JSON and exits with 0 if the SavedModel keeps the contract; otherwise writes one
line with the reason to stderr and exits with 1. Imports nothing of this project but `served`: what
it compares the model with comes in the second file, see `component.witness`.
"""

import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .served import Model, check_types

# The same pixel of two calls may be rounded to neighbouring grey levels.
_LEVELS = 1
_TOLERANCE = 2 / 255
# Rows of a call, besides all.
_BATCHES = (1, 2, 5)
# Standard deviations: no latent of a float32 generator is larger.
_LARGEST = 6.0
# Of the pixels, or columns, that differ between seeds by more than a level.
_LEAST_DIFFERING = 0.02
# Calls of a few rows; allocators settle in the first half of them.
_REPETITIONS, _REPEATED_ROWS = 40, 8
_MOST_KEPT_MB = 2.0
# Calls of all rows whose time is taken.
_TIMED = 3
# In microseconds.
_HALF_DAY = 43_200_000_000
# Of the values of some rows.
_NEARLY_ALL = 0.99


def probe(model_dir: str, witness: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Calls every signature of the SavedModel in `model_dir`.

    Args:
      model_dir: of a generator of `components.trainer.export`.
      witness: `seeds` [n] and their `latents` [n, d]; the served `classes`, empty for a generator
        without; `max_rows` of a call; and `warmup/<number>/<signature>/<input>`.

    Returns:
      `shape` of one datum, `rows_per_second` of `sample`, `memory_mb` at the most.

    Raises:
      ValueError: for whatever breaks the contract, and for data that are the same for all seeds or
        classes, are not those of the network, or depend on the other rows or earlier calls.
      Exception: whatever TensorFlow raises if the model does not load.
    """
    model = Model(model_dir)
    seeds, latents, classes = (witness[name] for name in ("seeds", "latents", "classes"))
    served = model.signatures.get("serving_default")
    kind = "vectors" if served is not None and "vectors" in served.structured_outputs else "images"
    check_types(model, kind, conditional=len(classes) > 0)

    labels = {"labels": np.resize(classes, len(seeds))} if len(classes) else {}
    floats = model("serving_default", latents=latents, **labels)
    _check_data(floats, kind, len(seeds))
    samples = model("sample", seeds=seeds, **labels)
    made = np.clip(np.round((floats + 1.0) * 127.5), 0, 255) if kind == "images" else floats
    # Rows are rounded to their columns' decimals, which are known to the model alone.
    near = _LEVELS if kind == "images" else _rounding(model.table) + 1e-6 * np.abs(made)
    if samples.shape != made.shape or (np.abs(samples - made) > near).any():
        raise ValueError("sample: not what serving_default makes of the latents of the seeds")

    _check_rows(model, kind, witness, labels, samples, floats)
    _check_variety(samples, kind)
    _check_extremes(model, kind, latents, labels)
    if labels:
        _check_classes(model, latents, seeds, classes)
    _check_others(model, kind, seeds, labels, samples)
    _check_bounds(model, witness, labels)
    for name, inputs in _warmup(witness):
        model.outputs(name, **inputs)
    _check_repetition(model, seeds, labels, samples)
    return {
        "shape": list(samples.shape[1:]),
        "rows_per_second": round(_rate(model, seeds, labels), 1),
        "memory_mb": round(_peak_mb()),
    }


def _rounding(table: Sequence[Mapping[str, Any]]) -> np.ndarray | float:
    """How far a column's numbers are rounded at the most: to whole ones, datetimes to days."""
    return np.array([_HALF_DAY if each["type"] == "datetime" else 0.5 for each in table] or 0.5)


def _check_data(floats: np.ndarray, kind: str, rows: int) -> None:
    if len(floats) != rows:
        raise ValueError(f"serving_default: {len(floats)} {kind} of {rows} latents")
    if not np.isfinite(floats).all():
        raise ValueError(f"serving_default: {kind} are not finite")
    if kind == "images" and np.abs(floats).max() > 1:
        raise ValueError(
            f"serving_default: images are in [{floats.min():.3g}, {floats.max():.3g}], "
            "expected [-1, 1]"
        )


def _check_rows(
    model: Model,
    kind: str,
    witness: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    samples: np.ndarray,
    floats: np.ndarray,
) -> None:
    """A row is the same whatever the other rows are."""
    seeds, latents = witness["seeds"], witness["latents"]
    orders = [slice(rows) for rows in _BATCHES] + [slice(None, None, -1)]
    for order in orders:
        of = {name: value[order] for name, value in labels.items()}
        rows = len(seeds[order])
        for name, found, expected, near in (
            ("sample", model("sample", seeds=seeds[order], **of), samples, _LEVELS),
            (
                "serving_default",
                model("serving_default", latents=latents[order], **of),
                floats,
                _TOLERANCE,
            ),
        ):
            scale = 1.0 if kind == "images" else np.maximum(1.0, np.abs(expected[order]))
            if found.shape != expected[order].shape or not _equal(
                found, expected[order], near * scale
            ):
                raise ValueError(f"{name}: a row depends on the {rows} of its batch")


def _equal(found: np.ndarray, expected: np.ndarray, near: np.ndarray | float) -> bool:
    """Whether all values are near what is expected; of a table, nearly all.

    Of values that a rounding error puts on the other side of a border, another one is made.
    """
    good = np.abs(found.astype(np.float64) - expected) <= near
    return bool(good.all() if found.ndim > 2 else good.mean() >= _NEARLY_ALL)


def _check_variety(samples: np.ndarray, kind: str) -> None:
    flat = samples.reshape(len(samples), -1).astype(np.float64)
    spread = flat.max(axis=0) - flat.min(axis=0)
    share = (spread > (_LEVELS if kind == "images" else 0)).mean()
    if share < _LEAST_DIFFERING:
        raise ValueError(
            f"sample: {len(samples)} seeds differ in {share:.2%} of the values, expected "
            f"{_LEAST_DIFFERING:.0%} or more"
        )


def _check_extremes(
    model: Model, kind: str, latents: np.ndarray, labels: Mapping[str, np.ndarray]
) -> None:
    largest = np.abs(latents).max()
    for factor in (_LARGEST / largest, -_LARGEST / largest):
        floats = model("serving_default", latents=latents * np.float32(factor), **labels)
        if not np.isfinite(floats).all():
            raise ValueError(
                f"serving_default: {kind} of latents up to {_LARGEST:g} are not finite"
            )


def _check_classes(
    model: Model, latents: np.ndarray, seeds: np.ndarray, classes: np.ndarray
) -> None:
    drawn = model("draw_labels", seeds=seeds)
    strangers = np.setdiff1d(drawn, classes)
    if len(strangers):
        raise ValueError(f"draw_labels: draws {strangers[0]}, which is not served")
    shown = classes[: len(latents)]
    same = np.repeat(latents[:1], len(shown), axis=0)
    images = model("serving_default", latents=same, labels=shown)
    if len(shown) > 1 and (images == images[:1]).all():
        raise ValueError("serving_default: labels are ignored, all classes are the same")


def _check_others(
    model: Model,
    kind: str,
    seeds: np.ndarray,
    labels: Mapping[str, np.ndarray],
    samples: np.ndarray,
) -> None:
    """The signatures that are made of `sample` agree with it."""
    ones, zeros = np.ones(len(seeds), np.float32), np.zeros(len(seeds), np.float32)
    found = {
        "sample_truncated": model("sample_truncated", seeds=seeds, truncation=ones, **labels),
        "interpolate": model(
            "interpolate", seeds=seeds, end_seeds=seeds[::-1].copy(), positions=zeros, **labels
        ),
    }
    if "sample_mixed" in model.signatures:
        others = labels["labels"][::-1].copy()
        found["sample_mixed"] = model(
            "sample_mixed", seeds=seeds, other_labels=others, shares=zeros, **labels
        )
    if "score_samples" in model.signatures:
        scored = model.outputs("score_samples", seeds=seeds, **labels)
        if not np.isfinite(scored["logits"]).all():
            raise ValueError("score_samples: logits are not finite")
    if "sample_png" in model.signatures:
        encoded = model("sample_png", seeds=seeds, **labels)
        channels = samples.shape[-1]
        found["sample_png"] = np.stack(
            [tf.io.decode_png(each, channels).numpy() for each in encoded]
        )
    for name, data in found.items():
        if data.shape != samples.shape or not _equal(data, samples, _LEVELS):
            raise ValueError(f"{name}: not the {kind} of sample")
    json.loads(bytes(model("describe")))
    if kind == "vectors":
        names = [name.decode() for name in model("columns")]
        if len(set(names)) != len(names) or len(names) != samples.shape[1]:
            raise ValueError(
                f"columns: {', '.join(names)} are not {samples.shape[1]} unique names, "
                "one per column"
            )


def _check_bounds(
    model: Model, witness: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> None:
    """What has no answer gets none."""
    seeds = witness["seeds"]
    if model.accepts("serving_default", latents=np.full_like(witness["latents"], np.nan), **labels):
        raise ValueError("serving_default: answers latents that are not finite")
    rows = int(witness["max_rows"]) + 1
    many = {name: np.resize(value, rows) for name, value in {"seeds": seeds, **labels}.items()}
    if model.accepts("sample", **many):
        raise ValueError(f"sample: answers {rows} rows, more than its max_rows")
    for stranger in (-1, max(labels["labels"]) + 1) if labels else ():
        if model.accepts("sample", seeds=seeds[:1], labels=np.array([stranger])):
            raise ValueError(f"sample: answers the label {stranger}, which is not served")


def _check_repetition(
    model: Model, seeds: np.ndarray, labels: Mapping[str, np.ndarray], samples: np.ndarray
) -> None:
    """A later call is like the first, and none keeps memory."""
    few = slice(_REPEATED_ROWS)
    of = {name: value[few] for name, value in labels.items()}
    middle = 0.0
    for number in range(_REPETITIONS):
        if number == _REPETITIONS // 2:
            middle = _resident_mb()
        found = model("sample", seeds=seeds[few], **of)
        if not _equal(found, samples[few], _LEVELS):
            raise ValueError("sample: the same seeds give other data in a later call")
    kept = (_resident_mb() - middle) / (_REPETITIONS / 2)
    if kept > _MOST_KEPT_MB:
        raise ValueError(f"sample: every call keeps {kept:.1f} MB of memory")


def _rate(model: Model, seeds: np.ndarray, labels: Mapping[str, np.ndarray]) -> float:
    """Rows a second."""
    started = time.perf_counter()
    for _ in range(_TIMED):
        model("sample", seeds=seeds, **labels)
    return _TIMED * len(seeds) / (time.perf_counter() - started)


def _warmup(witness: Mapping[str, np.ndarray]) -> list[tuple[str, dict[str, np.ndarray]]]:
    requests: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for key, value in witness.items():
        if key.startswith("warmup/"):
            _, number, name, *inputs = key.split("/")
            request = requests.setdefault((number, name), {})
            request.update(dict.fromkeys(inputs, value))
    return [(name, inputs) for (_, name), inputs in requests.items()]


def _resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    # Makes importing them fail, as on a server that lacks them.
    for name in ("components", "pipeline"):
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        with np.load(sys.argv[2]) as file:
            print(json.dumps(probe(sys.argv[1], dict(file))))
    # Any failure means that the model cannot be served; this line says why.
    except Exception as error:  # noqa: BLE001
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
