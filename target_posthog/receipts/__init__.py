"""Receipts: which events PostHog has acknowledged, so that none crosses the wire twice."""
