"""Slow, obvious NumPy versions of what the package computes fast."""
