"""The suite: every task at hand, every method, the same seeds; to choose settings on one half and report on both."""
