"""NumPy files: their arrays, and which of them are images."""
