"""`python -m dartjobs`."""

from dartjobs.cli.main import main

if __name__ == "__main__":
    main()
