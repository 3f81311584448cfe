"""Where the checkout lies, and the local test data beside it. Tests that use that data skip where
it is absent.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
