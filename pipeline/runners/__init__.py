"""Where the pipeline runs: on this machine, or compiled for Kubeflow."""
