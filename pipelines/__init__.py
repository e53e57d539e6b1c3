"""Builds DAGs and task groups from a policy."""
