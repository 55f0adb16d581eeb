"""Checks in a clean process that a generator can be served."""
