"""The exception that ends a run with a sentence for its user, who can put right what it names.

`shopify/answers.py` has the exceptions that say what to do about an answer of Shopify's.
"""

from __future__ import annotations


class RunError(Exception):
    """Trying again won't help: the message says what is wrong, which setting or stream it is about, and the remedy."""
