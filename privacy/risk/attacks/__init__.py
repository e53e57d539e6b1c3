"""Attacks on a release, run against the source that it was made from: what somebody could do, by trying it."""
