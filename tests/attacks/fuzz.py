"""Fuzzer of either side: `python -m tests.attacks.fuzz tap --seconds 600`, for as long as that; finds are kept.

Guided by coverage where atheris is installed (it is no dependency: `pip install atheris`). A find is written into the
side's corpus, which `test_corpus.py` goes through, and ends the run with its traceback.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
LONGEST_INPUT_BYTES = 4_096
ONE_INPUT_SECONDS = 20


def main() -> None:
    """Feed a side until the time is over, or something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=["tap", "target", "mapping"])
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    import atheris  # noqa: PLC0415  # no dependency

    packages = ["tap_shopify_orders", "target_posthog"]
    with atheris.instrument_imports(include=packages):
        from tests.attacks import inputs  # noqa: PLC0415  # it is to be instrumented
    feed = inputs.SIDES[chosen.side]
    folder = CORPUS / chosen.side

    def one(data: bytes) -> None:
        try:
            feed(data)
        except Exception:
            (folder / f"find-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
            raise

    limits = [f"-max_total_time={chosen.seconds}", f"-max_len={LONGEST_INPUT_BYTES}", f"-timeout={ONE_INPUT_SECONDS}"]
    seen = Path.cwd() / ".fuzz" / chosen.side  # what libFuzzer adds to the corpus stays out of it
    seen.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *limits, "-rss_limit_mb=2048", str(seen), str(folder)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
