"""The embedded services and their supervisor: everything `spine up` runs on one machine."""
