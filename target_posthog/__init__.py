"""Singer target for PostHog: takes the records of any tap, sends events, passes STATE on once they are acknowledged.

It knows no tap: rules in `mapping/shipped/` and the user's own say what the records of a stream mean.
"""
