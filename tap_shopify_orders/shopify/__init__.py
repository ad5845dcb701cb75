"""Shopify's Admin API: asks questions over HTTP, judges the answers, waits for limits.

HTTP is spoken here and nowhere else in the tap.
"""
