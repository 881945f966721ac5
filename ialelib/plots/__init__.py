"""Every figure, with one colour per strategy throughout."""
