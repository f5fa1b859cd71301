"""Building the benchmark tables that the package ships."""
