"""Get a won deal's contract signed by both sides, or take it back."""
