"""Training losses: a module for each model or kind of term."""
