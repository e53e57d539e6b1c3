"""Which columns hold what kind of personal data, by their names and by what their values look like."""
