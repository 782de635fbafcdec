"""First-order motion as published (Siarohin et al. 2019)."""
