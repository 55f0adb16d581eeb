"""The pipeline on a cluster: compiled for Kubeflow Pipelines, and what runs in its pods."""
