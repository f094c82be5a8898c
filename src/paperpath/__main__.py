"""`python -m paperpath`: the `paperpath` command."""

from paperpath.cli.main import main

if __name__ == "__main__":
    main()
