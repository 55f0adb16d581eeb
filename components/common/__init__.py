"""What every stage uses: configuration, registries, files, the door to TFX."""
