"""Whether training may see mirror images of data about which nothing was known."""

import io

import numpy as np
from PIL import Image

from components.data.symmetry import LEAST, Symmetry, mirror_accuracy, thumbnail
from components.example_gen import sampling
from components.example_gen.prepare import BadRecordError
from pipeline.onboarding.suggestion import Suggestion

# Images to look at: with as many, an accuracy is known to 4 %, and photographs take a minute.
_MOST = 2000


def symmetry(suggestion: Suggestion) -> Symmetry | None:
    """How well images of a sample are told from their mirror images.

    Args:
      suggestion: how to read the data.

    Returns:
      None for a table, and for fewer images than can be judged.
    """
    shape = suggestion.data.image_shape
    if shape is None:
        return None
    found, prepare = suggestion.found, suggestion.data.preparation
    images: list[np.ndarray] = []
    labels: list[int | None] = []
    for _, shard, places in sampling.choose(found.reader, found.shards, _MOST):
        for raw in found.reader.some(shard, places):
            try:
                record = prepare(raw).record
            except BadRecordError:
                # ExampleGen lists them.
                continue
            with Image.open(io.BytesIO(record.encoded)) as image:
                images.append(thumbnail(np.asarray(image).reshape(shape)))
            labels.append(record.label)
    own = None if None in labels else np.array(labels)
    return mirror_accuracy(np.stack(images), own) if len(images) >= LEAST else None
