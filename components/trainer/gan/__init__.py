"""The algorithm: the alternating update and what it is made of."""
