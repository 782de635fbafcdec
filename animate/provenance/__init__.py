"""Evidence of origin outside the pixels: content credentials, XMP, AIGC, thumbnails, ledger."""
