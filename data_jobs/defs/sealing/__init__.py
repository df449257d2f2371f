"""The audit log, sealed every few minutes and verified every day."""
