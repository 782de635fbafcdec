"""Data for training and evaluation: prepare clips, read them in any layout, draw pairs."""
