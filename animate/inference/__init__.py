"""A run: a photo and a driver become a published file."""
