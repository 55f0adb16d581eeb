"""The GAN algorithm: the alternating update and its parts."""
