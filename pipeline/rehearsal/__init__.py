"""A rehearsal of a compiled pipeline: what Kubeflow Pipelines' driver and launcher do, here."""
