"""Synthetic data: models of tables, what they are made of, and rows drawn from them."""
