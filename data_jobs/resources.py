"""What assets are handed: the settings of this installation, read when a run starts and never at import."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from spine.db import Database
from spine.settings import Settings

SHIPPED_SAMPLE = Path(__file__).parent / "sample" / "export"


class Platform:
    """The composition root of a run. One object a process; nothing is opened until somebody asks."""

    @cached_property
    def settings(self) -> Settings:
        return Settings.load()

    @property
    def tenant(self) -> str:
        return self.settings.tenant

    @property
    def datasets(self) -> Path:
        """Where this tenant's parquet files are; another tenant's are in another folder."""
        return (self.settings.data_dir or self.settings.home / "data").absolute() / self.tenant

    @property
    def crm_export(self) -> Path:
        return self.settings.crm_export or SHIPPED_SAMPLE

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Open for one publication and closed again: a run lives for seconds and must not hold connections."""
        with Database.from_settings(self.settings, max_size=2) as database:
            yield database
