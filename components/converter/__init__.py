"""Adds files for other runtimes to the generator that is evaluated and pushed."""
