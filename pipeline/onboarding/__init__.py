"""A first recipe and schema for data about which nothing is known yet."""

from pipeline.onboarding.creating import RECIPE_FILE, SCHEMA_FILE, write_recipe, write_schema
from pipeline.onboarding.presets import PRESETS
from pipeline.onboarding.suggestion import inspect

__all__ = ["PRESETS", "RECIPE_FILE", "SCHEMA_FILE", "inspect", "write_recipe", "write_schema"]
