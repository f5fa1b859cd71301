"""The command line ``invertnas``."""
