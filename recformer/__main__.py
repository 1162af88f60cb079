"""`python -m recformer`: the command line."""

from recformer.cli.commands import main

if __name__ == "__main__":
    main()
