"""What can become of a column or a row: one concept a file, one registry, a contract as data."""
