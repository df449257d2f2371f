"""What the stack consists of: each part with its command, its probe and what it comes after. The composition root of `spine up`."""

import base64
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spine.clock import BusinessClock
from spine.errors import Misconfigured
from spine.settings import Settings, variable_of
from spine.stack import dagster_home, probes, temporal_server
from spine.stack.options import Options, choose_ports
from spine.stack.ports import holder, is_free
from spine.stack.postgres import EmbeddedPostgres
from spine.stack.process import Elsewhere, Part, Process
from spine.stack.secret_files import read_or_make_secret
from spine.stack.temporal_server import EmbeddedTemporal

TASK_QUEUE = "commitments"
_DATABASES = ("database_url", "database_relay_url", "database_owner_url", "dagster_database_url", "langgraph_database_url")
_PROVIDER_URLS = ("email_smtp_url", "crm_url", "esign_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    parts: tuple[Part, ...]
    environment: Mapping[str, str]  # what the parts, and later commands, need to find each other
    addresses: Mapping[str, str]  # for people: part → URL or host:port
    tenant: str


def plan(home: Path, options: Options) -> Plan:
    """Decide, from the environment, what to start here and what is elsewhere; nothing is started. Raises Misconfigured."""
    overrides = {name: value for name in Settings.model_fields if (value := options.environment.get(variable_of(name)))}
    settings = Settings.load(**{**overrides, "home": home.absolute()})
    planner = _Planner(settings, options, choose_ports(options.ports))
    planner.databases()
    planner.temporal()
    planner.providers()
    planner.dagster()
    planner.worker()
    planner.gateway()
    return planner.done()


def refuse_taken_ports(parts: Sequence[Part]) -> None:
    """Raises Misconfigured, naming every occupied port with its part and its holder."""
    taken = [(part.name, port) for part in parts if isinstance(part, Process) for port in part.ports if not is_free(port)]
    if taken:
        lines = "\n".join(f"  {port} for {name}: held by {holder(port)}" for name, port in taken)
        raise Misconfigured(f"ports are occupied:\n{lines}\nend the holder, or let free ones be chosen: `spine up --ports auto`")


class _Planner:
    def __init__(self, settings: Settings, options: Options, ports: Mapping[str, int]) -> None:
        self._settings = settings
        self._options = options
        self._ports = ports
        self._parts: list[Part] = []
        self._addresses: dict[str, str] = {}
        self._environment: dict[str, str] = {
            **options.environment,
            "SPINE_HOME": str(settings.home),
            "SPINE_CLOCK": BusinessClock.parse(settings.clock).describe(),  # with its anchor: every process shares one business time
            "TEMPORAL_ADDRESS": settings.temporal_address or self._local("temporal"),
            "TEMPORAL_NAMESPACE": settings.temporal_namespace,
            "SPINE_DAGSTER_URL": settings.dagster_url or f"http://{self._local('dagster')}",
            "SPINE_GATEWAY_URL": settings.gateway_url or f"http://{self._local('gateway')}",
            "DAGSTER_HOME": str(settings.home / "dagster"),
            "DAGSTER_GRPC_MAX_WORKERS": str(dagster_home.GRPC_WORKERS),
            "SPINE_VAULT_KEY": _vault_key(settings),
            "LANGGRAPH_STRICT_MSGPACK": "true",  # without it checkpoint bytes can import and call any Python callable (traps 38)
            "PYTHONUNBUFFERED": "1",
        }
        if settings.token_key is None:
            self._environment["SPINE_TOKEN_KEY"] = read_or_make_secret(settings.home, "token-key")

    def done(self) -> Plan:
        """Leave out what is run by hand: those that came after it come after what it came after."""
        if unknown := self._options.without - {part.name for part in self._parts}:
            raise Misconfigured(f"no parts {sorted(unknown)!r} to leave out: there are {[part.name for part in self._parts]!r}")
        left_out = {part.name: part.after for part in self._parts if part.name in self._options.without}
        parts = []
        for part in self._parts:
            if part.name not in left_out:
                after: list[str] = []
                waiting = list(part.after)
                while waiting:
                    name = waiting.pop(0)
                    waiting.extend(left_out[name]) if name in left_out else after.append(name)
                object.__setattr__(part, "after", tuple(dict.fromkeys(after)))
                parts.append(part)
        return Plan(parts=tuple(parts), environment=self._environment, addresses=self._addresses, tenant=self._settings.tenant)

    def databases(self) -> None:
        if self._settings.database_url is None:
            server = EmbeddedPostgres(self._settings.home, self._ports["postgres"])
            self._environment |= server.environment()
            self._process(
                "postgres",
                partial(_prepared, server),
                port="postgres",
                options=server.process_options,
                ready=lambda _pid: server.is_ready(),
                settle=server.bootstrap,
                stop=server.stop_signal,
            )
        else:
            missing = [variable_of(name) for name in _DATABASES if getattr(self._settings, name) is None]
            if missing:
                raise Misconfigured(f"SPINE_DATABASE_URL names a database elsewhere; then these are needed too: {', '.join(missing)}")
            self._environment |= {variable_of(name): self._settings.require(name) for name in _DATABASES}
            url = self._environment["SPINE_DATABASE_URL"]
            self._elsewhere("postgres", _without_password(url), partial(probes.answers_sql, url))
        dagster_url = self._environment["SPINE_DAGSTER_DATABASE_URL"]
        self._environment[dagster_home.URL_VARIABLE] = dagster_home.sqlalchemy_url(dagster_url)
        self._process("migrate", _python("spine.stack.migrate", "spine", "langgraph"), after=("postgres",), once=True)

    def temporal(self) -> None:
        address, namespace = self._environment["TEMPORAL_ADDRESS"], self._settings.temporal_namespace
        if self._settings.temporal_address is not None:
            self._elsewhere("temporal", address, partial(temporal_server.is_ready, address, namespace))
            return
        server = EmbeddedTemporal(
            home=self._settings.home,
            namespace=namespace,
            port=self._ports["temporal"],
            ui_port=self._ports["temporal-ui"],
            http_port=self._ports["temporal-http"],
            metrics_port=self._ports["temporal-metrics"],
        )
        self._environment["SPINE_TEMPORAL_UI_URL"] = self._addresses["temporal-ui"] = f"http://{self._local('temporal-ui')}"
        ready = partial(temporal_server.is_ready, address, namespace)
        ports = tuple(self._ports[name] for name in ("temporal", "temporal-ui", "temporal-http", "temporal-metrics"))
        self._process("temporal", server.command, port="temporal", ports=ports, ready=lambda _pid: ready())

    def providers(self) -> None:
        """Stand-ins on loopback for providers that have no address: they speak the protocols and remember what they received."""
        wanted = self._options.providers
        real = {name for name in _PROVIDER_URLS if getattr(self._settings, name) is not None and wanted is not True}
        if wanted is False or len(real) == len(_PROVIDER_URLS):
            return
        http = f"http://{self._local('provider-http')}"
        if "email_smtp_url" not in real:
            self._environment["SPINE_EMAIL_SMTP_URL"] = f"smtp://{self._local('provider-smtp')}"
            self._environment["SPINE_EMAIL_LOOKUP_URL"] = f"{http}/email/messages"
        if "crm_url" not in real:
            self._environment["SPINE_CRM_URL"] = f"{http}/crm"
            self._environment["SPINE_CRM_TOKEN"] = read_or_make_secret(self._settings.home, "crm-token")
        if "esign_url" not in real:
            secret = base64.b64encode(read_or_make_secret(self._settings.home, "esign-webhook").encode()).decode()
            self._environment["SPINE_ESIGN_URL"] = f"{http}/esign"
            self._environment["SPINE_ESIGN_TOKEN"] = read_or_make_secret(self._settings.home, "esign-token")
            self._environment["SPINE_ESIGN_WEBHOOK_SECRET"] = f"whsec_{secret}"
        arguments = ["--smtp-port", str(self._ports["provider-smtp"]), "--http-port", str(self._ports["provider-http"])]
        arguments += ["--ledger", str(self._settings.home / "providers" / "ledger.sqlite")]
        webhook = f"{self._environment['SPINE_GATEWAY_URL']}/v1/webhooks/{self._settings.tenant}/esign"
        arguments += ["--webhook-url", webhook, *self._options.provider_arguments]
        ports = (self._ports["provider-smtp"], self._ports["provider-http"])
        ready = partial(_ignoring_pid, partial(probes.answers_http, f"{http}/health"))
        self._process("providers", _python("spine.testing.providers", *arguments), port="provider-http", ports=ports, ready=ready)

    def dagster(self) -> None:
        if self._settings.dagster_url is not None:
            self._elsewhere("dagster", self._settings.dagster_url, partial(probes.answers_http, self._settings.dagster_url))
            return
        storage = _python("spine.stack.migrate", "dagster")
        servers = {location: self._ports[location] for location in dagster_home.LOCATIONS}
        names = tuple(f"code:{location.rpartition('.')[2]}" for location in servers)

        def prepared() -> Sequence[str]:
            folder = dagster_home.write(self._settings.home, servers)
            if self._settings.database_url is None and (done := dagster_home.storage_is_current(folder)):
                return [sys.executable, "-c", f"print({done!r})"]  # three seconds less before anything of Dagster's may start
            return storage()

        self._process("dagster-storage", prepared, after=("postgres",), once=True)
        for name, (location, port) in zip(names, servers.items(), strict=True):
            # "Lazy" only means that a module that does not load is served as an error, for the UI to show, instead of ending the server.
            options = ["--host", "127.0.0.1", "--port", str(port), "--location-name", location, "--lazy-load-user-code"]
            options += ["--use-python-environment-entry-point", "--module-name", dagster_home.LOCATIONS[location]]
            self._process(
                name,
                _python("dagster", "api", "grpc", *options),
                port=location,
                after=("migrate", "dagster-storage"),
                ready=partial(_ignoring_pid, partial(probes.answers_code_server, port)),
                stop=partial(probes.shut_down_code_server, port),
                stop_timeout=4.0,
            )
        workspace = ["--workspace", str(self._settings.home / "dagster" / "workspace.yaml")]
        url = self._addresses["dagster"] = self._environment["SPINE_DAGSTER_URL"]
        database = self._environment["SPINE_DAGSTER_DATABASE_URL"]
        self._process(
            "dagster-webserver",
            _python("dagster_webserver", "--host", "127.0.0.1", "--port", str(self._ports["dagster"]), *workspace),
            port="dagster",
            after=names,
            ready=lambda _pid: probes.answers_http(f"{url}/server_info"),
        )
        heartbeat = _SinceStart(lambda since: probes.daemon_beats(database, since))
        daemon = _python("dagster._daemon", "run", *workspace)
        # It would wait for the ticks under way, and ours wait for events; a tick that dies loses nothing (ARCHITECTURE §7).
        self._process("dagster-daemon", daemon, after=(*names, "temporal"), ready=heartbeat, stop_timeout=2.0)

    def worker(self) -> None:
        address, namespace = self._environment["TEMPORAL_ADDRESS"], self._settings.temporal_namespace
        polls = _SinceStart(lambda since: probes.worker_polls(address, namespace, TASK_QUEUE, since))
        after = ("migrate", "temporal", *(part.name for part in self._parts if part.name == "providers"))
        self._process("worker", _python("orchestration.worker"), after=after, ready=polls, stop_timeout=12.0)

    def gateway(self) -> None:
        url = self._environment["SPINE_GATEWAY_URL"]
        if self._settings.gateway_url is not None:
            self._elsewhere("gateway", url, partial(probes.answers_http, f"{url}/health"))
            return
        ready = partial(_ignoring_pid, partial(probes.answers_http, f"{url}/health"))
        self._process("gateway", _python("spine.gateway"), port="gateway", after=("migrate", "temporal"), ready=ready)

    def _local(self, port: str) -> str:
        return f"127.0.0.1:{self._ports[port]}"

    def _process(self, name: str, command: Callable[[], Sequence[str]], *, port: str | None = None, **more: Any) -> None:
        if port is not None:
            scheme = "http://" if port in ("dagster", "gateway", "provider-http") else ""
            self._addresses[name] = f"{scheme}{self._local(port)}"
            more.setdefault("ports", (self._ports[port],))
        # The dictionary is shared on purpose: parts planned later add to it, and it is read when the process starts.
        self._parts.append(
            Process(name=name, command=command, environment=self._environment, address=self._addresses.get(name, ""), **more)
        )

    def _elsewhere(self, name: str, address: str, ready: Callable[[], bool]) -> None:
        self._addresses[name] = address
        self._parts.append(Elsewhere(name=name, address=address, ready=ready))


class _SinceStart:
    """A probe of something that leaves traces in a database: only a trace younger than the process that is asked about counts."""

    def __init__(self, seen: Callable[[datetime], bool]) -> None:
        self._seen = seen
        self._first_asked: dict[int, datetime] = {}

    def __call__(self, pid: int) -> bool:
        # Asked first within a tenth of a second of the start, long before any of these processes has loaded its modules.
        since = self._first_asked.setdefault(pid, datetime.now(UTC) - timedelta(seconds=0.1))
        return self._seen(since)


def _vault_key(settings: Settings) -> str:
    """Given, or of this home and made once: losing it loses every address that was kept under it."""
    return settings.vault_key.get_secret_value() if settings.vault_key else read_or_make_secret(settings.home, "vault-key")


def _ignoring_pid(probe: Callable[[], bool | str], _pid: int) -> bool | str:
    return probe()


def _prepared(server: EmbeddedPostgres) -> Sequence[str]:
    server.prepare()
    return server.command()


def _python(module: str, *arguments: str) -> Callable[[], Sequence[str]]:
    return lambda: [sys.executable, "-m", module, *arguments]


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}{parts.path}"
