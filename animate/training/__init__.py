"""Training motion models: pairs from clips, losses, and the loop."""
