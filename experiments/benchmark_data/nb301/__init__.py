"""Building NAS-Bench-301's files."""
