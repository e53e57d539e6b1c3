"""How much a table tells of people, and what it is still good for: figures, attacks and utility. Nothing is decided."""
