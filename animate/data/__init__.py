"""Clips and photos that training and evaluation both read."""
