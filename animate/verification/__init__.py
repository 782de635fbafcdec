"""What a file proves of its origin, as a verdict and in words."""
