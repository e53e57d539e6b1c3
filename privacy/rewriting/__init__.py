"""Taking rows and cells out of sources where they lie: what retention and erasure share."""
