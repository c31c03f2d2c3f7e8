"""`python -m xpronet` is the command line."""

from xpronet.cli import main

if __name__ == "__main__":
    main()
