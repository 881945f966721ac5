"""How the CNN is trained fast: compiled for the CPU, stacked on a GPU."""
