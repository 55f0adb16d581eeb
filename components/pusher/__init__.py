"""Puts a blessed generator where servers find it."""
