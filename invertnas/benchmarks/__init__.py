"""Benchmarks: accuracy tables behind a query ledger, and analysis objects apart."""
