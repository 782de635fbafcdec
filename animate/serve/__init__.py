"""The page and its API: animate, live and verify in a browser (docs/page.md)."""
