"""Loads a generator in a clean process before it is pushed."""
