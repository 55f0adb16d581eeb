"""Data on disk to tf.Examples, split into train and eval."""
