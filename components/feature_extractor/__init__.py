"""Trains the classifier whose features generators are measured with."""
