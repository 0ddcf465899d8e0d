"""`python -m brokenpipe` is `brokenpipe`."""

from brokenpipe.cli import main

main()
