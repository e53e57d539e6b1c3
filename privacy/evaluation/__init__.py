"""Synthetic rows beside the rows that a model learned from and rows that it never saw: likeness, use, leaks."""
