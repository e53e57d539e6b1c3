"""Optimal full-domain generalization with suppression: the recoding that costs least of those that hold k, l and t."""
