"""Show saved models on one HTML page that is small enough to mail."""
