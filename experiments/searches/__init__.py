"""Searches by name: methods, one run, many runs, records."""
