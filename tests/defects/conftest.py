from tests.desk import desk, shared_database

__all__ = ["desk", "shared_database"]
