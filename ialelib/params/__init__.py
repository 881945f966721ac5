"""Typed, strict parameters of the notebooks."""
