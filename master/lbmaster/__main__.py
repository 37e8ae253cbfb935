"""`python -m lbmaster`: the command line, where its script is not installed."""

from .cli.main import main

main(prog_name="lbmaster")
