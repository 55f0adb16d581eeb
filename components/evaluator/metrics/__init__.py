"""The scores: registry, formulas, neighbours, intervals."""
