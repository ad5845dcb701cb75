"""Shopify's customers and orders, in: an Admin API; out: Singer messages. Knows no target."""
