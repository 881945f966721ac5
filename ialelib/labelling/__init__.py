"""Labels given by hand: a widget over a store that keeps each label."""
