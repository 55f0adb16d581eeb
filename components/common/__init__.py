"""What every stage uses: configuration, registries, files, TFX helpers."""
