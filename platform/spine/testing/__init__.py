"""What tests and the demo use in place of the outside world: connectors in memory, and providers on loopback.

`connectors` are stand-ins inside the process. `providers` are real servers (SMTP and HTTP) that keep a ledger of everything
they received, so that "exactly once" is counted at the far end, after whatever happened to us in between.
"""
