"""One folder a domain: assets, checks, jobs, schedules, sensors."""
