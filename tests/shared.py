"""Where the checkout lies, and the local data beside it, without which some tests are skipped."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
