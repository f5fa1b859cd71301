"""Paper Table 4: what initial sets are worth."""
