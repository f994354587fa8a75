"""``python -m torchcompat``: what the console script ``torchcompat`` does."""

from torchcompat_check.__main__ import main

if __name__ == "__main__":
    main()
