"""Published networks with their weights, for measuring and for training against."""
