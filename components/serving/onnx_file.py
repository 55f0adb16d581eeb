"""A generator as an ONNX file, which needs onnxruntime and NumPy alone."""

import inspect
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from components.serving import contract, numpy_draws

# Of the file's metadata: the JSON of `describe`.
DESCRIPTION = "description"

# The only signature that the file has; what the others make of seeds is computed here.
_STORED = "serving_default"
_LABELS = "labels"
_WHOLE = ("seeds", "end_seeds", _LABELS)
# Of the description.
_REQUIRED = ("contract", "data", "shape", "latent_dim", "max_rows")


class Spec(NamedTuple):
    """Of an input or output.

    Attributes:
      shape: None for the rows.
      dtype: of its numbers.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype


class OnnxFile:
    """`serving_default` of a generator, and the signatures that follow from it.

    The file has no checks of its own, so the inputs are checked here as the SavedModel does. See
    `generator.Model`.

    Args:
      path: of a local file that `tfx-gan export` wrote.

    Attributes:
      path: as given.
      signatures: the names of those that make data, and `draw_labels`.
      description: what `describe` says of the SavedModel that it was made from.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: for something else than a `serving_default` with its description.
      ModuleNotFoundError: if onnxruntime is not installed.
    """

    def __init__(self, path: str) -> None:
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{path}: no such file; an .onnx file has to be a local one")
        self.path = path
        self._session = _session(path)
        self.description = _description(path, self._session)
        shares = self.description.get("class_shares")
        self._shares = None if shares is None else np.asarray(shares, np.float64)
        self._latent_dim = int(self.description["latent_dim"])
        expected = {"latents"} | (set() if self._shares is None else {_LABELS})
        found = {each.name for each in self._session.get_inputs()}
        if found != expected:
            raise ValueError(
                f"{path}: takes {', '.join(sorted(found))}, expected "
                f"{' and '.join(sorted(expected, reverse=True))}; "
                f"export it with --signature {_STORED}"
            )
        labels = () if self._shares is None else (_LABELS,)
        # Of each signature: its inputs by name.
        self._inputs = {
            name: (*list(inspect.signature(latents).parameters)[1:], *labels)
            for name, latents in _LATENTS.items()
        }
        if labels:
            self._inputs["draw_labels"] = ("seeds",)
        self.signatures = frozenset(self._inputs)

    @property
    def class_names(self) -> dict[int, str]:
        names = self.description.get("class_names", {})
        return {int(label): name for label, name in names.items()}

    def inputs(self, signature: str) -> dict[str, Spec]:
        return {
            name: Spec((None, self._latent_dim) if name == "latents" else (None,), _dtype(name))
            for name in self._inputs[signature]
        }

    def outputs(self, signature: str) -> dict[str, Spec]:
        if signature == "draw_labels":
            return {_LABELS: Spec((None,), np.dtype(np.int64))}
        images = self.description["data"] == "images" and signature != _STORED
        shape = (None, *self.description["shape"])
        return {
            self.description["data"]: Spec(shape, np.dtype("uint8") if images else self._floats)
        }

    @property
    def _floats(self) -> np.dtype:
        """Of numbers that leave it, as `Encoding.dtype`."""
        table = self.description.get("table", [])
        return np.dtype("float64" if any(e["type"] != "number" for e in table) else "float32")

    def function(self, signature: str) -> Any:  # noqa: ANN401
        raise ValueError(f"{self.path}: is an ONNX file already; convert the SavedModel again")

    def __call__(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        try:
            given = self._checked(signature, inputs)
        except ValueError as error:
            raise ValueError(f"{self.path}: {signature}: {error}") from error
        if signature == "draw_labels":
            assert self._shares is not None  # Or it would not have the signature.
            return {_LABELS: numpy_draws.classes(given["seeds"], self._shares)}
        labels = {_LABELS: given.pop(_LABELS)} if _LABELS in given else {}
        latents = _LATENTS[signature](self._latent_dim, **given)
        if len(latents):
            values = self._session.run(None, {"latents": latents, **labels})[0]
        else:
            # Not every operation of the runtime can do without rows.
            values = np.zeros([0, *self.description["shape"]], self._floats)
        return {self.description["data"]: values if signature == _STORED else self._rounded(values)}

    def _rounded(self, values: np.ndarray) -> np.ndarray:
        """As `export.postprocess`, but in NumPy."""
        if self.description["data"] == "images":
            return np.round((values + 1.0) * 127.5).clip(0.0, 255.0).astype(np.uint8)
        decimals = self.description.get("decimals")
        if decimals is None:
            return values
        known = [places is not None for places in decimals]
        factors = np.array([10.0 ** (places or 0) for places in decimals])
        units = np.array(self.description.get("units", 1.0))
        rounded = np.round(values.astype(np.float64) / units * factors) / factors * units
        return np.where(known, rounded.astype(values.dtype), values)

    def _checked(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The inputs as arrays; raises ValueError for what the SavedModel would refuse too."""
        specs = self.inputs(signature)
        if set(inputs) != set(specs):
            raise ValueError(f"given {', '.join(inputs)}, expected {', '.join(specs)}")
        given = {name: _array(name, inputs[name], spec) for name, spec in specs.items()}
        contract.check(given, self.description["max_rows"], self._shares)
        return given


# Of each signature that makes data: the latents that it makes of its inputs, but of the labels.
_LATENTS: dict[str, Callable[..., np.ndarray]] = {
    _STORED: lambda size, latents: latents,
    "sample": lambda size, seeds: numpy_draws.latents(seeds, size),
    "sample_truncated": lambda size, seeds, truncation: (
        truncation[:, np.newaxis] * numpy_draws.latents(seeds, size)
    ),
    "interpolate": lambda size, seeds, end_seeds, positions: numpy_draws.between(
        numpy_draws.latents(seeds, size), numpy_draws.latents(end_seeds, size), positions
    ),
}


def _session(path: str) -> Any:  # noqa: ANN401
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: onnxruntime is not installed: pip install onnxruntime", name="onnxruntime"
        ) from error
    try:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # The runtime's errors have no other class in common.
    except Exception as error:  # noqa: BLE001
        raise ValueError(f"{path}: ONNX Runtime cannot load it: {_line(error)}") from error


def _description(path: str, session: Any) -> dict[str, Any]:  # noqa: ANN401
    written = session.get_modelmeta().custom_metadata_map.get(DESCRIPTION)
    if written is None:
        raise ValueError(f"{path}: does not describe itself; export it again with `tfx-gan export`")
    try:
        found = json.loads(written)
        missing = [name for name in _REQUIRED if name not in found]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: its description is not a JSON object: {error}") from error
    if found.get("columns") and "decimals" not in found:
        # Or rows would not be rounded as the SavedModel rounds them.
        missing.append("decimals")
    if missing:
        raise ValueError(
            f"{path}: its description lacks {', '.join(missing)}; export the model again"
        )
    if found["contract"] != contract.CONTRACT:
        raise ValueError(
            f"{path}: is of contract {found['contract']}, expected {contract.CONTRACT}"
        )
    return found


def _array(name: str, values: Any, spec: Spec) -> np.ndarray:  # noqa: ANN401
    try:
        found = np.asarray(values)
        if found.size:
            # Numbers with a fraction are no whole ones.
            found = found.astype(spec.dtype, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected {spec.dtype}: {_line(error)}") from error
    if found.ndim != len(spec.shape) or found.shape[1:] != spec.shape[1:]:
        sizes = ", ".join(["n", *map(str, spec.shape[1:])])
        raise ValueError(f"{name}: of shape {list(found.shape)}, expected [{sizes}]")
    return found.astype(spec.dtype)


def _dtype(name: str) -> np.dtype:
    return np.dtype(np.int64 if name in _WHOLE else np.float32)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
