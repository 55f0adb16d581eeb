"""What is fast on this machine: bfloat16, and layers and optimizers that are one operation each."""
