"""`python -m spine.cli`, for processes that start one of our commands with their own interpreter."""

from spine.cli import main

main()
