"""A sign of life of the data plane."""
