"""Write to a qualified lead, with a person's yes to each message, until they answer or enough is enough."""
