"""Rehearsal of a release: everything but the push.

Builds wheel, sdist and the release's text into `dist/`, each once; looks through them; installs both as a user would,
where nothing else is, so that the commands start and a shop is read and previewed. The image is built and run where
Docker or Podman answers; where neither does, that is said. The variable IMAGE_PYTHON names another base image than the
Dockerfile's.
"""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from datetime import date
from pathlib import Path

from packaging.metadata import Metadata

from release.notes import CHANGELOG, notes
from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
UV = shutil.which("uv") or "uv"
ENGINES = ("docker", "podman")  # in this order: the release's workflow pushes what Docker has built
COMMANDS = ("tap-shopify-orders", "target-posthog")
PACKAGES = ("tap_shopify_orders", "target_posthog")
LONGEST_SECONDS = 600
CUSTOMERS = 30
# What runs, and what a user reads; nothing of the sandbox, the tests or the documents.
IN_THE_SDIST = {
    *PACKAGES,
    "CHANGELOG.md",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "SECURITY.md",
    "pyproject.toml",
    ".gitignore",
}
NEEDED = {"py.typed", ".graphql", ".yaml"}


def main() -> None:
    """Check step by step; ends with a sentence and exit code 1 at the first that fails."""
    shutil.rmtree(DIST, ignore_errors=True)
    wheel, sdist = build()
    version = wheel.name.split("-")[1]
    say(f"built {wheel.name} and {sdist.name}, once")
    tag = tag_of_head()
    if tag and tag != f"v{version}":
        sys.exit(
            f"the tag {tag} and the built version {version} differ: is the checkout changed, or the tag no version?"
        )
    (DIST / "RELEASE.md").write_text(notes(CHANGELOG.read_text(), version))
    say(f"the text of the release is in dist/RELEASE.md: that of {tag or 'Unreleased'}")
    look_through(wheel, sdist, version)
    say("wheel and sdist hold what runs and nothing else; their metadata is valid")
    with cdnow_shop().serve() as shop:
        for artefact in (wheel, sdist):
            with tempfile.TemporaryDirectory(prefix="release-") as folder:
                use(install(artefact, Path(folder)), version, f"{shop.url}/admin")
            say(f"{artefact.name} installs into an empty environment, and previews a shop")
    for command in COMMANDS:
        said = run(
            [UV, "tool", "run", "--quiet", "pipx", "run", "--spec", str(wheel), command, "--version"], os.environ
        )
        if version not in said:
            sys.exit(f"`pipx run {command} --version` doesn't say {version}: {said}")
    say("pipx runs both commands from the wheel")
    image(version)


def build() -> tuple[Path, Path]:
    """Return the wheel, made from the sdist, and the sdist."""
    run(
        [UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(DIST)], os.environ
    )
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    return wheel, sdist


def tag_of_head() -> str:
    """Return the version's tag of the commit that is checked out, or an empty text."""
    command = ["git", "tag", "--points-at", "HEAD", "v*"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # ours


def look_through(wheel: Path, sdist: Path, version: str) -> None:
    """End with a sentence if something is missing in them, or too much."""
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        (metadata,) = (opened.read(name) for name in names if name.endswith(".dist-info/METADATA"))
    strangers = {name.split("/")[0] for name in names} - set(PACKAGES) - {f"shopify_posthog-{version}.dist-info"}
    lacking = [one for one in NEEDED if not any(name.endswith(one) for name in names)]
    tracked = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    if strangers or lacking or tracked - set(names):
        sys.exit(f"the wheel has {strangers or 'no strangers'}, and lacks {lacking or sorted(tracked - set(names))}")
    with tarfile.open(sdist) as packed:
        tops = {name.split("/")[1] for name in packed.getnames() if "/" in name}
    if tops != IN_THE_SDIST:
        sys.exit(f"the sdist differs from what it should hold: {sorted(tops ^ IN_THE_SDIST)}")
    Metadata.from_email(metadata, validate=True)
    if email.message_from_bytes(metadata)["Version"] != version:
        sys.exit("the wheel's metadata names another version than its file")


def cdnow_shop() -> Shop:
    """Return a small shop."""
    return Shop(cdnow_store(date(2026, 10, 31), customers=CUSTOMERS))


def install(artefact: Path, folder: Path) -> Path:
    """Return the folder of the commands, in an environment that holds the artefact and what it asks for."""
    run([UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], os.environ)
    python = folder / "venv" / "bin" / "python"
    run([UV, "pip", "install", "--quiet", "--python", str(python), str(artefact)], os.environ)
    return python.parent


def use(commands: Path, version: str, admin_url: str) -> None:
    """Run what a user would run first, with no variable set; ends with a sentence if something is wrong."""
    folder = commands.parent.parent
    for command in COMMANDS:
        about = json.loads(run([str(commands / command), "--about", "--format=json"], {}))
        if about["version"] != version:
            sys.exit(f"{command} calls itself {about['version']}, and is {version}")
        run([str(commands / command), "--help"], {})
    store = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": admin_url}
    (folder / "tap.json").write_text(json.dumps(store))
    (folder / "target.json").write_text(json.dumps({"preview_path": str(folder / "preview.sqlite")}))
    records = run([str(commands / COMMANDS[0]), "--config", str(folder / "tap.json")], {})
    plan = run([str(commands / COMMANDS[1]), "--config", str(folder / "target.json")], {}, records)
    if not re.search(r"Order Completed", plan):
        sys.exit(f"the preview doesn't plan a single order: {plan[-2000:]}")


def image(version: str) -> None:
    """Build the image and run it as the CronJob does, if there is an engine for it; else say that there is none."""
    engine = next(filter(answers, ENGINES), None)
    if not engine:
        say("NOT TRIED: the image. No container engine answers here; the release's workflow builds it")
        return
    name, base = f"shopify-posthog:{version}", os.environ.get("IMAGE_PYTHON")
    arguments = [f"--build-arg=VERSION={version}", *([f"--build-arg=PYTHON={base}"] if base else [])]
    run([engine, "build", "--quiet", *arguments, "--tag", name, "."], os.environ)
    start = [engine, "run", "--rm", "--network=host", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"]
    said = run([*start, "--entrypoint=target-posthog", name, "--version"], os.environ)
    if version not in said:
        sys.exit(f"the image's target calls itself {said.strip()!r}, and should be {version}")
    with cdnow_shop().serve() as shop, PostHog().serve() as posthog:
        settings = {
            "SHOPIFY_STORE": "sandbox",
            "SHOPIFY_ACCESS_TOKEN": "shpat_sandbox",
            "TAP_SHOPIFY_ORDERS_ADMIN_URL": f"{shop.url}/admin",
            "POSTHOG_API_KEY": "phc_sandbox",
            "POSTHOG_HOST": posthog.url,
        }
        said = run([*start, *(f"--env={key}={value}" for key, value in settings.items()), name], os.environ)
        if not posthog.totals()["events"].get("Order Completed"):
            sys.exit(f"a run of the image brings no order into PostHog: {said[-2000:]}")
    say(
        f"{engine} builds the image {name} on {base or 'its own base'}; a run of it brings a shop's orders into PostHog"
    )


def answers(engine: str) -> bool:
    """Whether the engine is installed and can work here."""
    if not shutil.which(engine):
        return False
    return subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0  # one of ENGINES


def run(command: list[str], environment: os._Environ[str] | dict[str, str], stdin: str = "") -> str:
    """Return what a command says on both outputs; a failure ends the check with its last words."""
    done = subprocess.run(  # ours
        command,
        cwd=ROOT,
        env=dict(environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if done.returncode:
        sys.exit(f"`{' '.join(command)}` ends with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout if command[0].endswith(COMMANDS[0]) else done.stdout + done.stderr


def say(what: str) -> None:
    """Say that a step is done."""
    sys.stdout.write(f"✓ {what}\n" if not what.startswith("NOT") else f"- {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
