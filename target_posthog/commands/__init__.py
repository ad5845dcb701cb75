"""Commands beside a run: each takes options and prints for its user, and is described in its own help."""
