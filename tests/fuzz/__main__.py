"""python -m tests.fuzz: see campaign.py. Makes the tests' own modules importable, as pytest does."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "weights"), str(TESTS.parent)]

if __name__ == "__main__":
    from fuzz.campaign import main

    sys.exit(main())
