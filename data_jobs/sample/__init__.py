"""A small CRM export of invented companies, people and products, with the kinds of dirt that a real one has."""
