"""What one example is, and how the stages read it."""
