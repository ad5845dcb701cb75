"""Newcomer's walk through the README's demo and docs/first-run.md, command by command.

Takes this checkout, as committed. Every command of the two pages is run in a fresh clone, in one shell whose
environment is empty but for a home, an editor, and what the machine's own pip needs. The shop and the PostHog are those
of a second sandbox. Ends with the seconds of each step, or with the first command that failed. Needs Python alone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
LONGEST_STEP_SECONDS = 900
MACHINES_OWN = (
    "PIP_",
    "UV_",
    "SSL_CERT",
    "REQUESTS_CA",
)  # how this machine reaches its package index, if not as others do
PAGE_OPENS = "python -m sandbox preview"
END = "--- the command has ended with"
# What the newcomer writes into .env; the sandbox stands where a shop and a project of PostHog would.
ANSWERS = """SHOPIFY_STORE=sandbox.myshopify.com
SHOPIFY_ACCESS_TOKEN=shpat_sandbox
POSTHOG_API_KEY=phc_sandbox
POSTHOG_HOST={posthog}
POSTHOG_PROJECT_ID=1
POSTHOG_PERSONAL_API_KEY=phx_sandbox
TAP_SHOPIFY_ORDERS_ADMIN_URL={shop}
"""


class Shell:
    """One shell for the whole walk, so that what a command changes (`source`, `cd`) holds for the next."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """Start it in a folder, without anybody's profile."""
        self.took: list[tuple[float, str]] = []
        self._shell = subprocess.Popen(
            ["/bin/bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def say(self, command: str) -> str:
        """Run a command and return what it said; one that fails ends the walk with its last words."""
        print(f"$ {command}", flush=True)  # noqa: T201  # a command that prints
        stdin, stdout = self._shell.stdin, self._shell.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the shell has no pipes")
        started = time.monotonic()
        signal.alarm(LONGEST_STEP_SECONDS)
        stdin.write(f"{{ {command}\n}} </dev/null\necho '{END}' $?\n")
        stdin.flush()
        said = []
        for line in stdout:
            if END in line:
                break
            said.append(line)
        signal.alarm(0)
        self.took.append((time.monotonic() - started, command))
        if not line.endswith(f"{END} 0\n"):
            sys.exit(f"{''.join(said[-40:])}\nthis command failed: {command}")
        return "".join(said)

    def close(self) -> None:
        """End the shell and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.wait()


def commands(page: str) -> list[str]:
    """Return the commands of a page's console blocks, without their remarks."""
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    found = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s{2,}# .*$", "", command) for command in found]


def look(shell: Shell) -> str:
    """Open the page as the command does, fetch it, and close it as Ctrl-C would."""
    shell.say(f"{PAGE_OPENS} > page.txt & echo $! > page.pid; until grep -q http page.txt; do sleep 0.2; done")
    address = shell.say("cat page.txt").split()[0]
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310  # on this machine
        page: str = answer.read().decode()
    shell.say('kill -TERM "$(cat page.pid)"; wait "$(cat page.pid)"')
    return page


def walk(shell: Shell, folder: Path) -> None:
    """Take every step of both pages, and look whether they say what a newcomer waits for."""
    readme, first_run = commands("README.md"), commands("docs/first-run.md")
    own_shop = readme[readme.index("make test") + 1 :]  # without that itself: it takes ten minutes, and is CI's own
    own_shop = own_shop[: next(i for i, one in enumerate(own_shop) if one.startswith("meltano add"))]
    demo = shell.say(readme[0])
    expect("244,091.94 USD" in demo, "the demo shows what arrived")
    started = shell.say(".venv/bin/python -m sandbox --folder .walk start --fresh")
    shop, posthog = re.findall(r"http://\S+", started)[:2]
    answers = ANSWERS.format(shop=shop, posthog=posthog)
    editor = folder / "editor"
    editor.write_text(f'#!/bin/sh\nprintf %s {shlex.quote(answers)} > "$1"\n')
    editor.chmod(0o700)
    for command in [*first_run, *own_shop]:
        said = look(shell) if command == PAGE_OPENS else shell.say(command)
        if "preview run" in command:
            expect("nothing has been sent" in said, "a preview sends nothing")
        if command == PAGE_OPENS:
            expect("What a run would send" in said, "the page shows the plan")
        if "reconcile" in command:
            expect("✓" in said and "✗" not in said, "the books balance")


def stop_sandboxes(checkout: Path) -> None:
    """Stop the demo's sandbox and the second one, also where the walk has ended early: they outlive their shell."""
    python = checkout / ".venv" / "bin" / "python"
    for folder in ((), ("--folder", ".walk")):
        if python.exists():
            subprocess.run([python, "-m", "sandbox", *folder, "stop"], cwd=checkout, check=False)  # ours


def expect(true: bool, what: str) -> None:  # noqa: FBT001  # a fact and its name
    """End the walk if something isn't as the pages say."""
    if not true:
        sys.exit(f"not so: {what}")


def main() -> None:
    """Clone, walk, and say how long each step took."""
    folder = Path(tempfile.mkdtemp(prefix="walk-"))
    git = shutil.which("git") or "git"
    subprocess.run([git, "clone", "--quiet", str(ROOT), str(folder / "checkout")], check=True)  # ours
    kept = {name: value for name, value in os.environ.items() if name.startswith(MACHINES_OWN)}
    environment = {"HOME": str(folder), "EDITOR": str(folder / "editor"), **kept}
    shell = Shell(folder / "checkout", environment)
    try:
        walk(shell, folder)
    finally:
        shell.close()
        stop_sandboxes(folder / "checkout")
        shutil.rmtree(folder, ignore_errors=True)
    for seconds, command in shell.took:
        print(f"{seconds:6.1f} s  {command}")  # noqa: T201  # a command that prints


if __name__ == "__main__":
    main()
