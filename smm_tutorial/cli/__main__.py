"""`python -m smm_tutorial.cli` is the same as `smm-tutorial`. `torchrun` needs this form."""

import sys

from smm_tutorial.cli import main

if __name__ == "__main__":
    sys.exit(main())
