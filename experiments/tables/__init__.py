"""Tables of the paper and the thesis: python -m experiments.tables --table=NAME."""
