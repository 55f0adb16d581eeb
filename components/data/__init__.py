"""The contract of an example, and how stages read it."""
