"""Pushes a blessed generator to where model servers load it from."""
