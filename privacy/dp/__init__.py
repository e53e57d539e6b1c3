"""Differential privacy: statistics of a private table, with a loss that is known, bounded and counted.

    query ──► rows ──► contributions bounded ──► exact integer statistics ──► noise ──► answer

Noise comes from OpenDP; what is here is the contract around it. A query is a closed specification: keys, bounds and
measures, never expressions. Everything before the noise is done in integers, so that no rounding can depend on who is
in the table.
"""
