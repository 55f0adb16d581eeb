"""The readers, one module a format of data."""
