"""Any Singer stream into PostHog, in: Singer messages; out: events that PostHog has acknowledged, then their STATE.

Knows no tap: what a stream means is said by the rules in `mappings/`.
"""
