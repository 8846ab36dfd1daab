"""``python -m synctables`` is the command ``synctables``."""

from synctables.cli import main

if __name__ == "__main__":
    main()
