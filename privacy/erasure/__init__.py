"""Erasure: what is known of a person is found along the policy's references, erased, and shown to be gone."""
