"""`python -m smm_tutorial.cli`, which is `smm-tutorial`; `torchrun` starts it by this name."""

import sys

from smm_tutorial.cli import main

if __name__ == "__main__":
    sys.exit(main())
