"""Runs on a Dask cluster of processes of this machine: what is lost, what is done twice, how busy workers are."""
