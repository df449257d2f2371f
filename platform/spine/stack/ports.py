"""Ports: free ones, and who sits on the taken ones."""

import random
import socket

import psutil

# Below the range from which Linux and macOS give numbers to outgoing connections: there, a port that is free now may be somebody's
# end of a conversation in the seconds until its server starts.
_RANGE = range(20_000, 32_000)


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Distinct ports that were free on 127.0.0.1 a moment ago. Nothing reserves them."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_RANGE, len(_RANGE)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            break
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now. Connections that linger in TIME_WAIT do not count as taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens there, for people: `python3 (pid 4711)`. Another account's process may be hidden from us."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "a process of another account"


def is_listening(pid: int, port: int) -> bool:
    """Whether the process or one of its descendants listens on `port`: a stale server on it must not pass for ours."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return False
    for member in family:
        try:
            connections = member.net_connections(kind="tcp")
        except psutil.Error:
            continue
        if any(c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port for c in connections):
            return True
    return False
