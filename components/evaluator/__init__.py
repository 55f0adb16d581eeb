"""How good the generator is, and whether that is good enough."""
