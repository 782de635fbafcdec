"""What a file says of its origin beside its pixels: content credentials, XMP, AIGC, thumbnails."""
