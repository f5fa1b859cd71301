"""Figures of the predictor and of a search: python -m experiments.figures."""
