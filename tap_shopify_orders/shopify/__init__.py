"""Shopify's Admin API: questions asked over HTTP, answers judged, limits waited for.

HTTP lives here and nowhere else in the tap.
"""
