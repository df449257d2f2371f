"""What an automation that is new does wrong is noticed, and it is held."""
