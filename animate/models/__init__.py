"""Motion models: their contract, their registry, and a folder for each."""

from animate.models.registry import DISCRIMINATORS, REGISTRY, Model, build, load

__all__ = ["DISCRIMINATORS", "REGISTRY", "Model", "build", "load"]
