"""Read photos, clips and their sound, with exact colours and timing."""
