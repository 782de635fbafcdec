"""First-order motion with a gate between warped photo and painting; the default."""
