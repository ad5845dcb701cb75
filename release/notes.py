"""Text of a release: the section of CHANGELOG.md that has its version; of a development version, *Unreleased*."""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"
FINAL = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?")  # neither a development version nor one with a local part


def notes(changelog: str, version: str) -> str:
    """Return the text of the version's section, without its heading; raises ValueError if there is none, or no text."""
    heading = version if FINAL.fullmatch(version) else "Unreleased"
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for section in sections:
        title, _, text = section.partition("\n")
        if re.match(rf"\[?{re.escape(heading)}\]?(\s|$)", title):
            if not text.strip():
                break
            return text.strip() + "\n"
    raise ValueError(
        f"CHANGELOG.md has no text under the heading {heading!r}: write what users will notice of {version}"
    )


if __name__ == "__main__":
    try:
        sys.stdout.write(notes(CHANGELOG.read_text(), sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))
