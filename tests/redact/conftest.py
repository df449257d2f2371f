from tests.desk import desk, shared_database
from tests.gateway.conftest import door

__all__ = ["desk", "door", "shared_database"]
