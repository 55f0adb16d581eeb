"""Says at the end of a run on a cluster what became of it."""
