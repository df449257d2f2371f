from tests.gateway.conftest import door
from tests.governance.conftest import desk, shared_database

__all__ = ["desk", "door", "shared_database"]
