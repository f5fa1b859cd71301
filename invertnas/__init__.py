"""InvertNAS."""
