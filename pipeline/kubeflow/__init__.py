"""Runs of the pipeline, and of its training, on Kubeflow."""
