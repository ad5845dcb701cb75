"""Bill of materials, in: this checkout; out: dist/sbom.cdx.json (CycloneDX) and dist/licences.md of what users install.

Installs the pair without its extras, at the pinned versions, into an environment of its own, and the tools that list it
into another: neither is the one in which anything runs. Ends with exit code 1 for a licence that isn't in ALLOWED.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
TOOLS = ROOT / "release/requirements-tools.txt"
LONGEST_STEP_SECONDS = 900
PIN = re.compile(r"^[\w.\-\[\]]+==[^\s\\]+(?: ;[^\\\n]*)?", re.MULTILINE)
# Parts of licences' names. All let the pair be used and passed on under its own licence; who adds one has read it.
ALLOWED = (
    *("MIT", "Apache", "BSD", "ISC", "Python Software Foundation", "PSF", "Mozilla Public License 2.0", "MPL-2.0"),
    *("Unlicense", "Zope Public License", "0BSD"),
)
OURSELVES = ("shopify-posthog", "pip", "setuptools", "wheel")


def pins(requirements: str) -> str:
    """Return the exact versions of a hashed requirements file, one a line, as pip takes constraints."""
    return "".join(f"{pin.group().strip()}\n" for pin in PIN.finditer(requirements))


def environment(folder: Path) -> Path:
    """Make an empty environment; returns its Python."""
    venv.EnvBuilder(clear=True, with_pip=True).create(folder)
    return folder / "bin/python"


def run(*command: str | Path) -> str:
    """Run a command to its end and return what it printed; raises CalledProcessError."""
    return subprocess.run(
        [*map(str, command)], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=LONGEST_STEP_SECONDS
    ).stdout


def main() -> int:
    """Write both files and print the licences; returns 1 if one isn't allowed."""
    DIST.mkdir(exist_ok=True)
    constraints = DIST / "constraints.txt"
    constraints.write_text(pins((ROOT / "requirements.txt").read_text()))
    installed, tools = environment(DIST / "materials/installed"), environment(DIST / "materials/tools")
    quietly = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(installed, *quietly, "--constraint", constraints, ROOT)
    run(tools, *quietly, "--require-hashes", "--no-deps", "--requirement", TOOLS)
    listing = (tools.parent / "pip-licenses", "--python", installed, "--ignore-packages", *OURSELVES, "--with-urls")
    licences = run(*listing, "--format", "markdown", "--order", "license")
    (DIST / "licences.md").write_text(licences)
    sbom = ("environment", "--pyproject", ROOT / "pyproject.toml", "--mc-type", "application", "--output-reproducible")
    run(tools.parent / "cyclonedx-py", *sbom, "--output-file", DIST / "sbom.cdx.json", installed)
    sys.stdout.write(licences)
    strict = (*listing, "--partial-match", "--allow-only", ";".join(ALLOWED))
    return subprocess.run(
        [*map(str, strict)], cwd=ROOT, stdout=subprocess.DEVNULL, check=False, timeout=LONGEST_STEP_SECONDS
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
