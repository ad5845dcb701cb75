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

from tests.checkout import ROOT, files, imported

THIS_FILE = Path(__file__)
PACKAGES = ("tap_shopify_orders", "target_posthog", "sandbox")
MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TRACKED = files()

FORBIDDEN_WHERE_PURE = {"requests", "posthog", "sqlite3", "os", "pathlib", "subprocess", "time", "logging"}
REACHING_OUT = "requests posthog stamina singer_sdk sqlite3 sqlalchemy subprocess socket"
PURE = re.compile(r"^Pure\b", re.MULTILINE)  # a module says so in its docstring
ALWAYS_PURE = {Path("target_posthog/mapping/rule.py"), Path("target_posthog/delivery/batches.py")}


PURE_MODULES = [path for path in MODULES if PURE.search(ast.get_docstring(ast.parse((ROOT / path).read_text())) or "")]


@pytest.mark.parametrize("path", PURE_MODULES, ids=str)
def test_a_module_that_says_it_is_pure_imports_nothing_that_reaches_out(path: Path) -> None:
    assert not imported(path) & FORBIDDEN_WHERE_PURE


def test_what_a_pure_module_of_the_target_imports_brings_nothing_that_reaches_out() -> None:
    # By whatever way; in `singer/` alone the SDK is at hand, and with it HTTP.
    program = (
        "import importlib, sys\n"
        "for module in sys.argv[2:]:\n"
        "    importlib.import_module(module)\n"
        "    if found := sys.modules.keys() & sys.argv[1].split():\n"
        "        sys.exit(f'{module} brings {found}')\n"
    )
    target = [".".join(path.with_suffix("").parts) for path in PURE_MODULES if path.is_relative_to("target_posthog")]
    modules = [module for module in target if ".singer." not in module]
    done = subprocess.run(
        [sys.executable, "-c", program, REACHING_OUT, *modules], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_rooms_that_must_be_pure_say_so() -> None:
    assert set(PURE_MODULES) >= ALWAYS_PURE


def test_importing_the_packages_does_nothing() -> None:
    program = (
        "import socket, sys\n"
        "def closed(*args, **kwargs): raise AssertionError('a socket at import')\n"
        "socket.socket.connect = closed\n"
        "import tap_shopify_orders.tap, target_posthog.singer.target\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_seams_are_arguments_so_no_test_patches() -> None:
    # ruff bans the import of what mocks (TID251); pytest's own fixture is no import.
    patched = re.compile(r"monkeypatch\.(setattr|setitem|delattr)|\bmocker\b|\bpatch\(")
    tests = [
        path for path in TRACKED if path.startswith("tests/") and path.endswith(".py") and ROOT / path != THIS_FILE
    ]
    assert [path for path in tests if patched.search((ROOT / path).read_text())] == []


def test_a_suppression_says_why() -> None:
    # That it names a rule is for ruff to see (PGH003, PGH004).
    unexplained = re.compile(r"(noqa|type: ignore)(?!.*[A-Z\]a-z0-9]  # \S+)")
    found = []
    for path in (path for path in TRACKED if path.endswith(".py")):
        with tokenize.open(ROOT / path) as file:
            comments = [one for one in tokenize.generate_tokens(file.readline) if one.type == tokenize.COMMENT]
        found += [f"{path}:{one.start[0]} {one.string}" for one in comments if unexplained.search(one.string)]
    assert found == []


def test_no_file_names_a_package_host_or_a_machines_path() -> None:
    hosts = re.compile(rb"//[a-z.]*(pypi|pythonhosted|npmjs|debian)[.]")
    paths = re.compile(rb"/wor[k]/|/roo[t]/|/hom[e]/")
    contents = {path: (ROOT / path).read_bytes() for path in TRACKED}
    assert [path for path, content in contents.items() if hosts.search(content) or paths.search(content)] == []


def test_the_pins_hold_one_owner_of_the_module_backoff() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        pins = (ROOT / name).read_text()
        assert re.search(r"^python-backoff==", pins, re.MULTILINE)
        assert re.search(r"^backoff==\S+ ; sys_platform == 'never'", pins, re.MULTILINE)


def test_what_a_run_is_pinned_to_is_what_the_tests_run_with() -> None:
    run, tests = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert run.items() <= tests.items()
    assert not run.keys() & {"pytest", "mypy", "ruff", "selenium"}


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


def test_make_help_lists_the_verbs_on_one_screen() -> None:
    verbs = subprocess.run(["make", "--silent", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 1 < len(verbs.splitlines()) <= 20


def test_a_link_in_a_document_leads_somewhere() -> None:
    leading = {
        (path, link)
        for path in (path for path in TRACKED if path.endswith(".md"))
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / path).read_text())
        if not link.startswith(("http://", "https://", "mailto:"))
    }
    assert [one for one in leading if not (ROOT / one[0]).parent.joinpath(one[1]).exists()] == []


def test_a_path_that_a_document_names_is_there() -> None:
    """Of Python's files any, as rooms name their modules alone; of others those that begin with a folder of ours."""
    folders = {parent.as_posix() for path in TRACKED for parent in Path(path).parents} - {"."}
    ends = {path[at:] for path in (*TRACKED, *folders) for at, before in enumerate(f"/{path}") if before == "/"}
    top = tuple(f"{folder}/" for folder in folders if "/" not in folder)
    named = [
        (path, name)
        for path in TRACKED
        if path.endswith(".md")
        and path not in ("CHANGELOG.md", "docs/posthog.md")  # of the past, and of PostHog's code
        for name in re.findall(r"`([\w./-]+)`", (ROOT / path).read_text())
        if name.endswith(".py") or name.startswith(top)
    ]
    assert len(named) > 50
    assert [one for one in named if one[1].removesuffix("/") not in ends] == []


@pytest.mark.parametrize("name", ["receipts.jsonl", "shop-receipts-2026.jsonl", "dead.jsonl", "plan.json", ".env"])
def test_git_leaves_alone_what_the_documents_have_users_write(tmp_path: Path, name: str) -> None:
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert subprocess.run(["git", "check-ignore", "-q", name], cwd=tmp_path, check=False).returncode == 0
