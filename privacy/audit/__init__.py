"""Evidence that an auditor can check without trusting us: a Merkle tree, signed checkpoints, proofs."""
