"""The versioned key ring and where it is kept."""
