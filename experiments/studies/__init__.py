"""Studies of single parts: decoder, proxies, AlignFlow."""
