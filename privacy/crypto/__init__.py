"""Batched ciphers and keyed hashes over whole Arrow columns."""
