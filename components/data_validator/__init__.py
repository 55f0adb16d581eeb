"""Validates data against a schema and against earlier data."""
