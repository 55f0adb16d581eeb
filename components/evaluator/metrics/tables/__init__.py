"""Scores of rows of codes: columns, pairs of them, classifiers."""
