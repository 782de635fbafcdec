"""Measure motion models: declared protocols, metrics that name their models, a report."""
