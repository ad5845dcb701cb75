"""One text becomes many, in: JSON of a customer or an order; out: that of others who did the same at the same time.

The copies differ in the numbers and e-mails of customers and orders, and in nothing else. Knows neither a shop nor
Singer, but how both write numbers.
"""

from __future__ import annotations

import re

MARK = b"\x00"  # where a copy's number goes: JSON never has this byte
ID_DIGITS = 13  # of the numbers in the sandbox's shop; a copy's number stands before them
_PLACES = re.compile(  # not those of products, which are the same for all
    rb'(?:gid://shopify/(?!Product)\w+/|"(?:last_order_|line_item_|parent_|refund_|return_)?id":)(?=\d{13})'
    rb'|"(?=[^"@\s/:]+@)'
)


def marked(text: bytes) -> bytes:
    """Return the text with a mark at every place that differs from copy to copy."""
    return _PLACES.sub(rb"\g<0>" + MARK, text)


def copy(marked_text: bytes, number: int) -> bytes:
    """Return a copy of what was marked; number 0 is the text itself."""
    return marked_text.replace(MARK, digits(number))


def digits(number: int) -> bytes:
    """Return what stands at the marks of a copy."""
    return b"%d" % number if number else b""
