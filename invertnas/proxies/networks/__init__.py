"""Untrained networks that the zero-cost proxies score, one file a space."""
