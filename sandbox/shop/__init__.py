"""A Shopify shop on this machine, in: a store and HTTP requests to its Admin API; out: what Shopify would answer."""

from sandbox.shop.admin_api import Shop

__all__ = ["Shop"]
