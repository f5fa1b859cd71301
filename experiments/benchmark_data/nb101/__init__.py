"""Building NAS-Bench-101's table."""
