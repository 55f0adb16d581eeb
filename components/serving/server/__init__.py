"""The generators of a serving folder over HTTP, as TensorFlow Serving serves them."""
