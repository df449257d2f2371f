"""What every plane may import: contracts only."""
