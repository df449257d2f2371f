"""One regression test for each version trap that this code stands on: an upgrade that changes an assumption shows here by name."""
