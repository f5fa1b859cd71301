"""Scripts that build data, train models and run searches: `python -m experiments.NAME --help`."""
