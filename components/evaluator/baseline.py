"""Which models a candidate is compared with: pushed ones, whose folders outlive all runs."""

import math
import posixpath
from typing import TypedDict

import tensorflow as tf

from components.common import saved_models


class Blessed(TypedDict):
    """SavedModels, or empty strings on a first run.

    Attributes:
      latest: the last blessed model.
      best: the blessed model of the lowest FID under the candidate's extractor; the same as
        `latest` where that is the best, and empty if none was scored with the extractor.
    """

    latest: str
    best: str


def blessed_before(serving_dir: str, candidate: str, extractor_id: str) -> Blessed:
    """The latest and the best model that were pushed before the candidate.

    Without the best one, a candidate that may be a little worse than the last blessed model could
    be so again and again. A candidate that is itself among the versions, because nothing has
    changed since, is compared with what it was compared with then: its own scores would tell
    nothing, and the same model would be evaluated and pushed again.

    Args:
      serving_dir: folder of the versions; it need not exist.
      candidate: folder of a SavedModel.
      extractor_id: what FIDs have to be of to be compared.
    """
    earlier: list[str] = []
    for version in saved_models.versions(serving_dir) if tf.io.gfile.isdir(serving_dir) else []:
        path = posixpath.join(serving_dir, version)
        if saved_models.same(path, candidate):
            break
        earlier.append(path)
    fids = []
    for age, path in enumerate(reversed(earlier)):
        record = saved_models.blessing(path)
        fid = record.get("fid", math.nan)
        if record.get("extractor_id") == extractor_id and not math.isnan(fid):
            fids.append((fid, age, path))
    return Blessed(latest=earlier[-1] if earlier else "", best=min(fids)[-1] if fids else "")
