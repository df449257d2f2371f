"""What an open page hears."""

import asyncio
from collections.abc import Callable

from spine.console.live import changes
from spine.errors import NotAuthenticated


def heard(look: Callable[[], str], seen: str, looks: int) -> list[str]:
    async def listen() -> list[str]:
        return [line async for line in changes(look, seen, every=0, looks=looks)]

    return asyncio.run(listen())


def test_a_page_hears_of_a_change_once_and_never_what_it_was() -> None:
    found = iter(["1/0", "2/1", "2/1", "2/1"])
    lines = heard(lambda: next(found), "1/0", 4)
    assert [line for line in lines if "changed" in line] == ["event: changed\ndata: 2/1\n\n"]


def test_whoever_comes_back_hears_how_it_stands_and_so_what_was_missed() -> None:
    assert "event: standing\ndata: 2/1\n" in heard(lambda: "2/1", "2/1", 1)[0]


def test_a_stream_ends_with_its_session() -> None:
    def ended() -> str:
        raise NotAuthenticated("log in")

    lines = heard(ended, "1/0", 50)
    assert lines[-1].startswith("event: ended")
    assert len(lines) == 2


def test_a_quiet_stream_gives_signs_of_life_so_that_no_proxy_hangs_up() -> None:
    lines = heard(lambda: "1/0", "1/0", 15)
    assert lines.count(": here\n\n") == 2
