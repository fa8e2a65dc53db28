"""`python -m resspec`."""

from resspec.cli import main

if __name__ == "__main__":
    main()
