"""Measuring motion models: one declared protocol, metrics that name their models, a report."""
