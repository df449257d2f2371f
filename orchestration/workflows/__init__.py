"""Commitments: what lasts for days, touches several systems, or waits for people. One folder each: messages, workflow, activities."""
