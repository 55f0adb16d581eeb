"""Whether the data are what they should be, and what they were."""
