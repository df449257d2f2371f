"""What the platform may forget, forgotten daily."""
