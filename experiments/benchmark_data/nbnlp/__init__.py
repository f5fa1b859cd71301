"""Building NAS-Bench-NLP's table and surrogate."""
