"""The compose file of one run: services of compose/services.yaml, one for each arm, at addresses chosen beforehand.

    198.18.n.1   this machine: the harness, Locust, the echo server of probes
    198.18.n.2   Postgres         .3  Toxiproxy         .4  a Postgres for probes, made when there is something to probe
    198.18.n.5   PgBouncer, with [pgbouncer]
    198.18.n.10  the first arm, and so on

198.18.0.0/15 is set aside for measuring (RFC 2544), so no other network should use it. This one is internal: it has no
way out, and nothing is published. Programs on this machine reach the containers at their own addresses, with no
translation of addresses in between that could turn an RST into a FIN.

There are no secrets in it: they are in files of the run's scratch folder, which it names, and in variables of the
program that reads it, which it names, too.
"""

from __future__ import annotations

import ipaddress
import os
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.plan.plan import Plan
from brokenpipe.plan.secrets.passed_variables import passed_names
from brokenpipe.redaction import is_secret, secret_values
from brokenpipe.stack.pgbouncer.config import PgBouncerFiles
from brokenpipe.stack.postgres.certificates import Certificates
from brokenpipe.stack.postgres.cluster import SETTINGS

POSTGRES_PORT = 5432
API_PORT = 8474
TARGET_PORT = 8000
PGBOUNCER_PORT = 6432
POSTGRES_IMAGE = "postgres:17-bookworm"  # these, as in compose/services.yaml
TOXIPROXY_IMAGE = "brokenpipe/toxiproxy:2.12.0"
AGENT_IMAGE = "brokenpipe/agent:1"
PGBOUNCER_IMAGE = "brokenpipe/pgbouncer:1.24"
SCRATCH = "scratch"  # the profile and the service of the Postgres for probes
_BENCHMARK_NETWORK = ipaddress.ip_network("198.18.0.0/15")
_PASSWORD_SECRET = "postgres_password"  # noqa: S105
_FIRST_ARM = 10
TLS_FOLDER = Path("/var/lib/postgresql/data/tls")  # they belong to the server, and it alone reads them
_PLAIN = re.compile(r"[\w:/@.?&=%+,-]*")
HBA_FILE = Path("pg_hba.conf")
HBA_RULES = "local all all scram-sha-256\nhostssl all all all scram-sha-256\n"  # TLS only


@dataclass(frozen=True, slots=True)
class NetworkAddresses:
    """Addresses of the parts in the network of a run."""

    network: ipaddress.IPv4Network

    @property
    def gateway(self) -> str:
        return str(self.network[1])

    @property
    def postgres(self) -> str:
        return str(self.network[2])

    @property
    def toxiproxy(self) -> str:
        return str(self.network[3])

    @property
    def scratch(self) -> str:
        return str(self.network[4])

    @property
    def pgbouncer(self) -> str:
        return str(self.network[5])

    @property
    def behind_proxies(self) -> frozenset[tuple[str, int]]:
        """Addresses to which only Toxiproxy connects."""
        return frozenset({(self.postgres, POSTGRES_PORT), (self.pgbouncer, PGBOUNCER_PORT)})

    def arm(self, index: int) -> str:
        """Address of an arm's target. `index` counts from 0."""
        return str(self.network[_FIRST_ARM + index])


def choose_network(taken: Iterable[ipaddress.IPv4Network]) -> NetworkAddresses:
    """A benchmark network that overlaps with none of these; chosen at random, so that two runs rarely collide."""
    taken = tuple(taken)
    free = [
        each
        for each in _BENCHMARK_NETWORK.subnets(new_prefix=24)
        if not any(each.overlaps(other) for other in taken)
    ]
    assert isinstance(free[0], ipaddress.IPv4Network)
    return NetworkAddresses(random.SystemRandom().choice(free))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Files with the secrets of a run: the superuser's password, the address of each arm's database, PgBouncer's users.

    Secrets among the variables of a service are in none of them: see `ComposeLayout.secret_variables`.
    """

    folder: Path

    @property
    def password(self) -> Path:
        return self.folder / "password"

    def database(self, arm: str) -> Path:
        """An env file with the variables in which the service of an arm finds its database."""
        return self.folder / f"{arm}.env"

    @property
    def pgbouncer(self) -> PgBouncerFiles:
        return PgBouncerFiles(self.folder)


@dataclass(frozen=True, slots=True)
class ComposeLayout:
    """Content of the compose file of a run. Folders have the same path inside the containers as outside."""

    plan: Plan
    project: str
    services_file: Path
    addresses: NetworkAddresses
    secrets: SecretFiles
    labels: Mapping[str, str]
    report: Path
    links: Path
    target_folders: Mapping[str, Path]  # arm → the folder of its target
    witness: Path
    environments: Mapping[str, Mapping[str, str]]  # arm → its variables, without its database
    max_connections: int
    certificates: Certificates | None  # outside; inside, the server has its own in SERVER_FILES

    def container(self, service: str) -> str:
        """Name of a service's container."""
        return f"{self.project}-{service}"

    def secret_variables(self) -> dict[str, str]:
        """Environment for the program that reads the file: secrets that the file names without their value."""
        return {
            _secret_variable(self, arm, name): value
            for arm, environment in self.environments.items()
            for name, value in environment.items()
            if self._is_secret(arm, name)
        }

    def secrets_of(self, arm: str) -> tuple[str, ...]:
        """Values that must not appear in the log of an arm's service."""
        return secret_values(self.environments[arm], passed_names(self.plan, arm))

    def _is_secret(self, arm: str, name: str) -> bool:
        return name in passed_names(self.plan, arm) or is_secret(name, self.environments[arm][name])

    def document(self) -> dict[str, object]:
        """The whole file."""
        services = {
            address_holder("postgres"): self._address_holder("postgres", self.addresses.postgres),
            "postgres": self._postgres("postgres", self._tls()),
            # Nothing is encrypted there: probes read what it says on a plain socket.
            address_holder(SCRATCH): self._address_holder(SCRATCH, self.addresses.scratch)
            | {"profiles": [SCRATCH]},
            SCRATCH: self._postgres(SCRATCH, {}) | {"profiles": [SCRATCH]},
            "toxiproxy": self._toxiproxy(),
            **({"pgbouncer": self._pgbouncer()} if self.plan.scenario.pgbouncer else {}),
            **{
                f"agent-{arm}": self._agent(arm, self.addresses.arm(index))
                for index, arm in enumerate(self.plan.scenario.arms)
            },
        }
        network = {
            "internal": True,
            "labels": dict(self.labels),
            "ipam": {"config": [{"subnet": str(self.addresses.network), "gateway": self.addresses.gateway}]},
        }
        return {
            "services": services,
            "networks": {"wire": network},
            "secrets": {_PASSWORD_SECRET: {"file": str(self.secrets.password)}},
        }

    def _service(self, piece: str, service: str, address: str | None) -> dict[str, object]:
        """A service at an address of its own; without one, in the network of its address holder."""
        network: dict[str, object] = (
            {"networks": {"wire": {"ipv4_address": address}}}
            if address
            else {"network_mode": f"service:{address_holder(service)}"}
        )
        return {
            "extends": {"file": str(self.services_file), "service": piece},
            "container_name": self.container(service),
            "labels": dict(self.labels),
            **network,
        }

    def _address_holder(self, service: str, address: str) -> dict[str, object]:
        """A container that keeps the address of a server: while that is away, a connect is refused."""
        return self._service("address_holder", address_holder(service), address)

    def _tls(self) -> dict[str, str]:
        if self.certificates is None:
            return {}
        outside = self.certificates
        inside = Certificates(
            outside.authority, TLS_FOLDER / outside.server.name, TLS_FOLDER / outside.key.name
        )
        return {**inside.server_settings, "hba_file": str(TLS_FOLDER / HBA_FILE.name)}

    def _postgres(self, service: str, more: Mapping[str, str]) -> dict[str, object]:
        settings = {**SETTINGS, "max_connections": str(self.max_connections), **more}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._service("postgres", service, None) | {
            "command": ["postgres", *options],
            "environment": {"POSTGRES_PASSWORD_FILE": f"/run/secrets/{_PASSWORD_SECRET}"},
            "secrets": [_PASSWORD_SECRET],
        }

    def _toxiproxy(self) -> dict[str, object]:
        address = self.addresses.toxiproxy
        return self._service("toxiproxy", "toxiproxy", address) | {
            "user": _current_user(),
            "command": ["-host", address, "-port", str(API_PORT), "-links", str(self.links)],
            "volumes": [_mount(self.report, read_only=False)],
        }

    def _pgbouncer(self) -> dict[str, object]:
        files = self.secrets.pgbouncer
        return self._service("pgbouncer", "pgbouncer", self.addresses.pgbouncer) | {
            "command": [str(files.config)],
            "volumes": [_mount(files.config), _mount(files.users)],
        }

    def _agent(self, arm: str, address: str) -> dict[str, object]:
        target, folder = self.plan.target_of(arm), self.target_folders[arm]
        command = target.argv(python="python", host=address, port=str(TARGET_PORT))
        return self._service("agent", f"agent-{arm}", address) | {
            "image": target.image or AGENT_IMAGE,
            "user": _current_user(),
            "command": [_escape_dollars(part) for part in command],
            "working_dir": str(folder),
            "environment": {
                name: f"${{{_secret_variable(self, arm, name)}}}"
                if self._is_secret(arm, name)
                else _escape_dollars(value)
                for name, value in self.environments[arm].items()
            },
            "env_file": [str(self.secrets.database(arm))],
            "volumes": [
                _mount(folder),
                _mount(self.witness),
                _mount(self.report, read_only=False),
                *([_mount(self.certificates.authority)] if self.certificates else []),
            ],
        }


def _secret_variable(layout: ComposeLayout, arm: str, name: str) -> str:
    """The variable of the program that reads the file, for one of an arm: arms differ in their values."""
    return f"BROKENPIPE_ARM{list(layout.environments).index(arm)}_{name}"


def env_file(variables: Mapping[str, str]) -> str:
    """The text of an env file. Compose reads nothing into a text in single quotes."""
    quoted = {name: value if _PLAIN.fullmatch(value) else f"'{value}'" for name, value in variables.items()}
    return "".join(f"{name}={value}\n" for name, value in quoted.items())


def address_holder(service: str) -> str:
    """Name of the service that keeps the address of another one."""
    return f"{service}-place"


def _mount(path: Path, *, read_only: bool = True) -> dict[str, object]:
    return {"type": "bind", "source": str(path), "target": str(path), "read_only": read_only}


def _current_user() -> str:
    """User and group of this process: files that containers write belong to them."""
    return f"{os.getuid()}:{os.getgid()}"


def _escape_dollars(text: str) -> str:
    """Compose would replace `$NAME` by a variable of its own."""
    return text.replace("$", "$$")
