"""The runs of a root: their metadata, history and comparison."""
