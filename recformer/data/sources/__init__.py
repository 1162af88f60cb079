"""Where datasets come from: downloads, archives, links to folders elsewhere."""
