"""One file a version, numbered. A released one is never changed; what it made, a later one changes."""
