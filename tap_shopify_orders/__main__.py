"""`python -m tap_shopify_orders`, in: the command line; out: Singer messages. Knows only where the command is."""

from tap_shopify_orders.tap import TapShopifyOrders

TapShopifyOrders.cli()
