"""Entry of the command: takes the command line, and ends a run that hasn't begun yet without a traceback."""

import signal


def main() -> None:
    """Run the command; until its own handler stands, Ctrl-C ends the process as it ends others, without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tap_shopify_orders.tap import TapShopifyOrders  # noqa: PLC0415  # it takes half a second

    TapShopifyOrders.cli()


if __name__ == "__main__":
    main()
