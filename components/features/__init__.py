"""Features of data: extractors, and distances between sets of features."""

from components.features.extractor import (
    DAMAGES,
    DESCRIPTION_FILE,
    IMAGES,
    SAVED_MODEL_FOLDER,
    SIGNATURE,
    VECTORS,
    Extractor,
    Features,
    data_id,
    load,
    store,
)

__all__ = [
    "DAMAGES",
    "DESCRIPTION_FILE",
    "IMAGES",
    "SAVED_MODEL_FOLDER",
    "SIGNATURE",
    "VECTORS",
    "Extractor",
    "Features",
    "data_id",
    "load",
    "store",
]
