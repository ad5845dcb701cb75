"""Singer tap for Shopify: takes the address and credentials of a store, returns its customers and orders as messages.

It knows no target.
"""
