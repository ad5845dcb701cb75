"""The delivery of events: what waits, what goes together, what was acknowledged, and what a run says of it."""
