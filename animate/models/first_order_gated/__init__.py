"""First-order motion with a gate between the warped photo and painting; the default model."""
