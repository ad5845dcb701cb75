"""Delivery: events wait, travel together, are acknowledged; the summary says what a run did."""
