"""The data formats a recipe can name."""

from components.example_gen.base import Reader
from components.example_gen.folder import FolderReader
from components.example_gen.idx import IdxReader
from components.registry import Registry

READERS: Registry[type[Reader]] = Registry("data format")
READERS.register("idx")(IdxReader)
READERS.register("folder")(FolderReader)
