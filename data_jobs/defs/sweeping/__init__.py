"""What must not be, looked for every few minutes."""
