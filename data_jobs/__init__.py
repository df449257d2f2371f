"""The data plane: assets, checks, partitions, schedules and evaluations. It tells the other planes by events, and decides nothing."""
