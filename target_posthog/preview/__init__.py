"""A run that sends nothing: what would leave, seen before it does."""
