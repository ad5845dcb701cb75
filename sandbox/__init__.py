"""A shop and a PostHog on this machine, in: their real protocols over loopback; out: what the real ones would answer.

For the demo, previews, tests and benchmarks. Knows neither the tap nor the target.
"""
