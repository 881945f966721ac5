"""The experiments of the paper and beyond: paired cycles, and what is measured in them."""
