"""The repository keeps its own laws."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import backoff
import posthog.request
import pytest
import singer_sdk.streams.rest

ROOT = Path(__file__).parent.parent
PACKAGES = ("tap_shopify_orders", "target_posthog", "sandbox")
MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.splitlines()

# Who may not import whom: the import law of docs/design.md.
FORBIDDEN_IN_PACKAGE = {
    "tap_shopify_orders": {"target_posthog", "sandbox", "posthog"},
    "target_posthog": {"tap_shopify_orders", "sandbox"},
    "sandbox": {"tap_shopify_orders", "target_posthog", "singer_sdk"},
}
FORBIDDEN_WHERE_PURE = {"requests", "posthog", "sqlite3", "os", "pathlib", "subprocess", "time", "logging"}
PURE = re.compile(r"^Pure\b", re.MULTILINE)  # a module says so in its docstring
ALWAYS_PURE = {Path("target_posthog/mapping/stream_rules.py"), Path("target_posthog/delivery/batches.py")}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_imports_only_what_its_room_may_know(path: Path) -> None:
    forbidden = FORBIDDEN_IN_PACKAGE[path.parts[0]] | ({"singer_sdk"} if path.name == "client.py" else set())
    assert not imported(path) & forbidden


PURE_MODULES = [path for path in MODULES if PURE.search(ast.get_docstring(ast.parse((ROOT / path).read_text())) or "")]


@pytest.mark.parametrize("path", PURE_MODULES, ids=str)
def test_a_module_that_says_it_is_pure_imports_nothing_that_reaches_out(path: Path) -> None:
    assert not imported(path) & FORBIDDEN_WHERE_PURE


def test_the_rooms_that_must_be_pure_say_so() -> None:
    assert set(PURE_MODULES) >= ALWAYS_PURE


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_says_what_comes_in_and_what_goes_out(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text())) or ""
    assert docstring, "the first line says what comes in and what goes out"
    assert len(docstring) > 30


def test_importing_the_packages_does_nothing() -> None:
    program = (
        "import socket, sys\n"
        "def closed(*args, **kwargs): raise AssertionError('a socket at import')\n"
        "socket.socket.connect = closed\n"
        "import tap_shopify_orders.tap, target_posthog.target\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_seams_are_arguments_so_no_test_patches() -> None:
    patched = re.compile(r"unittest\.mock|\bMagicMock|\bpatch\(|monkeypatch\.setattr|\bmocker\b")
    tests = [ROOT / path for path in TRACKED if path.startswith("tests/") and path.endswith(".py")]
    offenders = [path for path in tests if path != Path(__file__) and patched.search(path.read_text())]
    assert offenders == []


@pytest.mark.parametrize("path", [path for path in TRACKED if path.endswith(".py")])
def test_a_suppression_carries_a_code_and_a_reason(path: str) -> None:
    with tokenize.open(ROOT / path) as file:
        comments = [token.string for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]
    for comment in comments:
        if "noqa" in comment:
            assert re.search(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)*  # \S+", comment), comment
        if "type: ignore" in comment:
            assert re.search(r"# type: ignore\[[a-z-]+\]  # \S+", comment), comment


@pytest.mark.parametrize("path", TRACKED)
def test_no_file_names_a_package_host_or_a_machines_path(path: str) -> None:
    content = (ROOT / path).read_bytes()
    assert not re.search(rb"//[a-z.]*(pypi|pythonhosted|npmjs|debian)[.]", content)
    assert not re.search(rb"/wor[k]/|/roo[t]/|/hom[e]/", content)


def test_the_pins_hold_one_owner_of_the_module_backoff() -> None:
    pins = (ROOT / "requirements.txt").read_text()
    assert re.search(r"^python-backoff==", pins, re.MULTILINE)
    assert re.search(r"^backoff==\S+ ; sys_platform == 'never'", pins, re.MULTILINE)


def test_the_one_backoff_serves_both_libraries() -> None:
    attempts = []

    @backoff.on_exception(backoff.constant, ValueError, max_tries=3, interval=0, jitter=None)
    def fails_twice() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError
        return len(attempts)

    assert fails_twice() == 3
    assert posthog.request.batch_post
    assert singer_sdk.streams.rest.backoff is backoff


def test_make_help_lists_at_most_twelve_verbs() -> None:
    verbs = subprocess.run(["make", "--silent", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 1 < len(verbs.splitlines()) <= 12


@pytest.mark.parametrize("path", [path for path in TRACKED if path.endswith(".md")])
def test_a_link_in_a_document_leads_somewhere(path: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / path).read_text()):
        if not link.startswith(("http://", "https://", "mailto:")):
            assert (ROOT / path).parent.joinpath(link).exists(), link
