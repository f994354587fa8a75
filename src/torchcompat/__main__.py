"""``python -m torchcompat``."""

import sys

from ._report import python_m


def main() -> None:
    """Print the report and exit."""
    sys.exit(python_m(sys.argv[1:]))


if __name__ == "__main__":
    main()
