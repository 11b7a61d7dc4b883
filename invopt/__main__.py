"""`python -m invopt`: the command `invopt`."""

from invopt.cli import main

if __name__ == "__main__":
    main()
