"""The scores: registry, formulas, standards, intervals."""
