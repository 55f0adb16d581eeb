"""From a dataset to training batches."""
