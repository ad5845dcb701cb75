"""Hook of the site's build: a link out of docs/ becomes one into the repository, where the file is.

Takes a page's Markdown, returns it with such links. Knows MkDocs only by the name of its event.
"""

from __future__ import annotations

import re
from typing import Any

OUTWARD = re.compile(r"\]\(\.\./([^)\s]+)\)")


def on_page_markdown(markdown: str, *, config: dict[str, Any], **_: object) -> str:
    """Return the page's Markdown with the links that leave docs/ led to the repository's page."""
    return OUTWARD.sub(rf"]({config['repo_url'].rstrip('/')}/blob/main/\1)", markdown)
