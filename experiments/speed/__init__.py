"""What a step, a round and a search cost: python -m experiments.speed."""
