"""Runs a plan: streaming Arrow batches, constant memory."""
