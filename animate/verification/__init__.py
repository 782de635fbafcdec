"""Verify where a file comes from: gather evidence, judge it, report it."""
