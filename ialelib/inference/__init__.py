"""Your own pool: the next batch to label, for any torch classifier."""
