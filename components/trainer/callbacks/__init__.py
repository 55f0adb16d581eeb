"""What watches a training: one class a duty."""
