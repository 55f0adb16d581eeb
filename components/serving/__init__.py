"""What an exported generator promises to those who call it, and how Python calls it."""

from components.serving.generator import Generator

__all__ = ["Generator"]
