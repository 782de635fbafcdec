"""What training minimises, one module a model or a term."""
