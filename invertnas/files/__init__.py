"""Files: atomic writing, verified weights, fingerprints of settings."""
