"""Files of this checkout, as git lists them: those that it knows, and new ones that it doesn't ignore.

And which modules such a file imports.
"""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
LISTED = ("git", "ls-files", "--cached", "--others", "--exclude-standard")


def files() -> list[str]:
    """Return their paths from the root; one that was deleted and not committed is among them."""
    return subprocess.run(LISTED, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def imported(path: Path) -> set[str]:
    """Return the top-level names of all modules that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names
