"""The living Figure 1: two strategies choose among the points of two Gaussians, step by step."""
