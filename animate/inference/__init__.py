"""One run: photo and driver in, published video out."""
