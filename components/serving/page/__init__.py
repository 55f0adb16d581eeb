"""`generator.html`: one file that runs a generator of images in any browser, without a server.

Sources of the browser's part are in `web/`; `built/` is made from them by `npm ci && npm run build`
there, and is what the page carries beside the model.
"""

import base64
import functools
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.common import saved_models, templates

# Beside a SavedModel: its signature `serving_default` for ONNX Runtime.
MODEL_FILE = f"{saved_models.EXTRA}/serving_default.onnx"

_TITLE = "Generator"
_FOLDER = Path(__file__).parent
# Grey, grey and alpha, RGB, RGBA.
_CHANNELS = (1, 2, 3, 4)
# What the studio asks is its own server; the page asks nobody.
_NOBODY, _OWN_SERVER = "'none'", "'self'"


def render(
    model: bytes,
    description: Mapping[str, Any],
    *,
    title: str = _TITLE,
    metrics: Mapping[str, Mapping[str, float | None]] | None = None,
    neighbours: np.ndarray | None = None,
) -> str:
    """The page as HTML, of some 5 MB and four thirds of the model.

    Args:
      model: ONNX file of the signature `serving_default`.
      description: of the generator, as `saved_models.description` gives it.
      title: heading of the page.
      metrics: by the name that is shown: `value`, and `low` and `high` where there is an interval;
        None for those that it had when it was pushed, if it was.
      neighbours: training images uint8 [m, height, width, channels], of any size, among which the
        page looks for those nearest to an image; None for none.

    Raises:
      ValueError: for a generator of tables, images of more than 4 channels, a description of an
        earlier contract, an empty model, and neighbours that are not such images.
    """
    check(description)
    if not model:
        raise ValueError("the ONNX file of the generator is empty; export it again")
    content = {"model": _packed(model)}
    page: dict[str, Any] = {"description": dict(description), "metrics": metrics}
    if metrics is None:
        page["metrics"] = pushed_metrics(description)
    if neighbours is not None:
        page["neighbours"] = _neighbours_shape(neighbours)
        content["neighbours"] = _packed(neighbours.tobytes())
    return _fill(title, page, content, _NOBODY)


def studio(title: str = _TITLE) -> str:
    """The page without a model: it asks its server for versions and their ONNX files."""
    return _fill(title, {"studio": True}, {}, _OWN_SERVER)


def check(description: Mapping[str, Any]) -> None:
    """Raises ValueError if a page cannot show what a generator of this description makes."""
    if objection := _objection(description):
        raise ValueError(objection)


def shows(description: Mapping[str, Any]) -> bool:
    """Whether a page can show what a generator of this description makes."""
    return not _objection(description)


def _objection(description: Mapping[str, Any]) -> str:
    if not description:
        return "the generator has no description (contract 1); export it again"
    if description["data"] != "images":
        return "a page shows images, and this generator makes rows of a table"
    channels = description["shape"][-1]
    if channels not in _CHANNELS:
        return f"a page shows images of 1 to 4 channels, and this generator's have {channels}"
    return ""


def pushed_metrics(description: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """What a generator had been measured with when it was pushed, as `metrics` of `render`."""
    fid = description.get("blessing", {}).get("fid")
    # Models were once pushed with their FID alone.
    before = {} if fid is None else {"fid": {"value": fid}}
    return {
        _in_words(name): {key: score[key] for key in ("value", "low", "high") if key in score}
        for name, score in description.get("metrics", before).items()
    }


def _in_words(metric: str) -> str:
    """For example FID, or sliced wasserstein."""
    return metric.upper() if len(metric) == len("fid") else metric.replace("_", " ")


def _fill(title: str, page: Mapping[str, Any], content: Mapping[str, str], connect: str) -> str:
    # NaN is no JSON, and no name from outside may end the element.
    text = json.dumps(_finite(page), allow_nan=False).replace("<", "\\u003c")
    return templates.load(_FOLDER / "page.html.jinja").render(
        title=title,
        page=text,
        connect=connect,
        data={**_runtime(), **content},
        style=_built("page.css").decode(),
        script=_built("app.js").decode(),
    )


@functools.cache
def _runtime() -> dict[str, str]:
    """What every page carries, base64 of gzip."""
    return {
        "licences-data": base64.b64encode(_built("licences.txt.gz")).decode(),
        "worker": _packed(_built("worker.js")),
        "runtime": base64.b64encode(_built("runtime.wasm.gz")).decode(),
    }


def _built(name: str) -> bytes:
    return (_FOLDER / "built" / name).read_bytes()


def _packed(content: bytes) -> str:
    # Without the time, so that equal models make equal pages.
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _neighbours_shape(images: np.ndarray) -> list[int]:
    good = images.ndim == 4 and images.dtype == np.uint8 and images.size
    if not good or images.shape[-1] not in _CHANNELS:
        raise ValueError(
            "neighbours: expected images uint8 [m, height, width, 1 to 4 channels], found "
            f"{images.dtype} {list(images.shape)}"
        )
    return list(images.shape)


def _finite(value: Any) -> Any:  # noqa: ANN401
    """Numbers that are none become null."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
