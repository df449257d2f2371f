from tests.desk import desk, shared_database, superuser_url

__all__ = ["desk", "shared_database", "superuser_url"]
