"""Lineage read off the plan: OpenLineage facets, and the proof that walks them."""
