"""The language of expressions: their text becomes a function from a record to a value."""
