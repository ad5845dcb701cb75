"""Environments of the tests outside.

Takes the folders beside it and what each needs; makes one environment below `.outside` for each file of needs, unless
it is there as the file has it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
OUTSIDE = HERE.parent.parent / ".outside"
MADE_OF = "made-of"  # a file in each environment with the digest of its needs
OLDEST_NODE = 20  # of PostHog's parser
AT_ONCE = 2


def main() -> None:
    """Make all environments; ends with a sentence where one can't be made."""
    for needs in HERE.glob("*/package.json"):  # first, as it fails at once where there is no node
        _make(_place(needs, "-node"), needs, _node)
    with ThreadPoolExecutor(AT_ONCE) as pool:  # the one waits for the network while the other unpacks
        made = [
            pool.submit(_make, _place(needs, needs.stem.removeprefix("requirements")), needs, _python)
            for needs in sorted(HERE.glob("*/requirements*.txt"))
        ]
    for one in made:
        one.result()


def _place(needs: Path, suffix: str) -> Path:
    return OUTSIDE / f"{needs.parent.name}{suffix}"


def _make(place: Path, needs: Path, make: Callable[[Path, Path], None]) -> None:
    digest = hashlib.sha256(needs.read_bytes()).hexdigest()
    mark = place / MADE_OF
    if mark.is_file() and mark.read_text() == digest:
        return
    sys.stderr.write(f"Making {place.relative_to(OUTSIDE.parent)} of {needs.relative_to(OUTSIDE.parent)} ...\n")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    make(place, needs)
    mark.write_text(digest)


def _python(place: Path, needs: Path) -> None:
    """Install what a file pins, whatever Pythons an author has tried it with: here the tests try it."""
    _run(sys.executable, "-m", "venv", "--without-pip", str(place))
    pip = (sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "--quiet")
    options = ("--disable-pip-version-check", "--require-hashes", "--no-deps", "--ignore-requires-python")
    _run(*pip, "install", *options, "--requirement", str(needs))


def _node(place: Path, needs: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        sys.exit(f"{needs} needs node {OLDEST_NODE} or newer, and npm: install them, then make test-outside again")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").partition(".")[0]) < OLDEST_NODE:
        sys.exit(f"{needs} needs node {OLDEST_NODE} or newer; this is {version}")
    exact = json.loads(needs.read_text())["dependencies"]
    if not all(one[:1].isdigit() for one in exact.values()):
        sys.exit(f"{needs} needs exact versions")
    shutil.copy(needs, place)
    _run(npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", cwd=place)


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: it needs the network, or what it asks for is gone")


if __name__ == "__main__":
    main()
