"""The GAN itself: networks, losses and the class that trains them. Plain TensorFlow and Keras."""
