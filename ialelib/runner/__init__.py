"""The batch: checks, runs and shows notebooks; no notebook imports it."""
