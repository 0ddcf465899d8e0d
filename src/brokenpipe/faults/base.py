"""What all faults have in common: how one is injected and healed, what it promises, and what it can do to requests.

A fault is data and two calls. Every other part reads what it needs from these attributes and names no fault: the
self-test, the detection, the doctor, the form of the web page, the JSON Schema, attribution.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from brokenpipe.error_class import ErrorClass
from brokenpipe.faults.contract import Contract, SocketEffect, SocketExpectation
from brokenpipe.faults.proxy_control import ProxyControl, Toxic

How = Literal["reset", "fin"]
"""How a connection ends: by RST, as from a crashed host or a firewall that rejects, or by FIN, as from a
process that closed its socket."""

HOW: How = Field(
    default="reset",
    description="How a connection ends: reset (RST, as from a firewall) or fin (as from a closed socket).",
)
"""The parameter of every fault that ends connections in the way one asks for."""

Situation = Literal["idle", "fresh", "mid_transfer"]
"""The state of a pool's connection when a fault comes, see Contract."""

Place = Literal["wire", "server"]
"""Where a fault happens: on the wire, which any socket can see, or at the server, which only a session can see."""

ServerEnds = Literal["none", "idle", "any"]
"""Which connections are closed from the server's side because of a fault: none, those without a statement under way,
or any."""


class Fault(BaseModel):
    """One way to break the connection to Postgres, with its parameters. `name` tells which."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str

    is_known: ClassVar[bool] = True
    """False: its history names it, and no installed distribution has it, so that nothing else is known of it."""

    # --- how it is played -----------------------------------------------------------------------------

    momentary: ClassVar[bool]
    """True: it happens at one moment and there is nothing to heal. False: it holds from inject to heal."""

    deferred: ClassVar[bool] = False
    """True: a strike hits at the next occasion only, and until then it can be healed."""

    parses_protocol: ClassVar[bool] = False
    """True: it looks for something in what passes, and sees nothing of what is encrypted."""

    place: ClassVar[Place] = "wire"

    in_namespace: ClassVar[bool] = False
    """True: it can only happen in a network namespace of the run's own, or in those of its containers."""

    detected_on: ClassVar[Situation] = "idle"
    """The connection on which the harness detects it in the middle of an experiment."""

    all_toxics: ClassVar[tuple[Toxic, ...]] = ()
    """The toxics that it needs, with any parameters: they are on a proxy, neutral, before the first connection."""

    # --- what it can do to requests: attribution decides by this -----------------------------------------

    can_cause: ClassVar[frozenset[ErrorClass]] = frozenset()
    """How operations can fail while it is active although their connection lives, with any parameters. `causes` has
    those of these parameters."""

    silences: ClassVar[bool] = False
    """True: while it is held nothing is answered, so that every request hangs."""

    delays: ClassVar[bool] = False
    """True: it delays answers. `delay_ms` says by how much."""

    ends_connecting: ClassVar[bool] = False
    """True: a connection that is being opened can end because of it."""

    spares_active: ClassVar[bool] = False
    """True: a connection that is in use goes on."""

    server_ends: ClassVar[ServerEnds] = "none"

    stops_server: ClassVar[bool] = False
    """True: the server itself stands still or is away, for every client of every arm."""

    recorded_as: ClassVar[str] = ""
    """The name under which the proxy records that it ended or silenced a connection for it; "": the proxy does not."""

    @property
    def ending(self) -> How | None:
        """How connections must end for it to be what it promises; None: either way will do.

        That is decided when a connection opens and cannot be changed on it; see docs/faults.md.
        """
        return None

    @property
    def armed(self) -> bool:
        """Whether its connections must be opened so that any later end is an RST."""
        return self.ending == "reset"

    @property
    def shared(self) -> bool:
        """Whether it happens to what all arms share, and so once to all of them."""
        return False

    @property
    def min_interval_s(self) -> float:
        """The least time that one strike needs, in seconds."""
        return 0.2

    @property
    def silence_ms(self) -> int | None:
        """How long a connection has to be quiet in its pool to feel it, if that matters."""
        return None

    @property
    def session_limit(self) -> int | None:
        """A limit of sessions in the arm's database that it sets; it shows only when so many are open."""
        return None

    @property
    def trigger_sql(self) -> str:
        """The SQL with which a fresh session brings it about, for a fault at the server."""
        return "SELECT 1"

    # --- what it can do to requests, with these parameters ----------------------------------------------

    @property
    def causes(self) -> frozenset[ErrorClass]:
        """How operations can fail while it is active, although their connection lives."""
        return self.can_cause

    @property
    def causes_after_ms(self) -> int:
        """How long an operation must have taken to fail by it."""
        return 0

    @property
    def delay_ms(self) -> int:
        """How many milliseconds it adds to a round trip."""
        return 0

    @property
    def most_delay_ms(self) -> int:
        """How many milliseconds it adds at most."""
        return self.delay_ms

    @property
    def least_delay_ms(self) -> int:
        """How many milliseconds it adds at least."""
        return self.delay_ms

    @property
    def ends_connecting_after_ms(self) -> int | None:
        """How long a connect must have taken to end by it; None: it does not."""
        return 0 if self.ends_connecting else None

    @property
    def ends_at_server(self) -> ServerEnds:
        """Which connections are closed from the server's side because of it."""
        return self.server_ends

    @property
    def lasts_after_heal_ms(self) -> int:
        """How long sessions may go on to end because of it when it is healed."""
        return 0

    # --- what it promises, and how it is done -----------------------------------------------------------

    @property
    @abstractmethod
    def contract(self) -> Contract:
        """What a raw socket sees."""

    @property
    def expected_effect(self) -> SocketExpectation:
        """What a raw socket of the harness must see in the middle of an experiment, or the fault did not land."""
        expected: SocketExpectation = getattr(self.contract, self.detected_on)
        return expected

    def toxics(self) -> tuple[Toxic, ...]:
        """The toxics that it uses with these parameters."""
        return self.all_toxics

    @abstractmethod
    def inject(self, wire: ProxyControl) -> None:
        """Break the wire. Raises ProxyError if that did not happen."""

    def inject_everywhere(self, wires: Sequence[ProxyControl]) -> None:
        """Inject a fault that is shared, once. The wires of all arms lead to the same server."""
        self.inject(wires[0])

    def heal(self, wire: ProxyControl) -> None:
        """Make the wire whole, for new connections and for those that still live."""
        for toxic in self.toxics():
            wire.update(toxic.name, **toxic.neutral)

    def shortened(self) -> Fault:
        """The same fault with times short enough for a probe before every experiment."""
        return self

    @classmethod
    def variants(cls) -> tuple[Self, ...]:
        """The fault in every way that `brokenpipe doctor` tests.

        One, if it is not said otherwise: a parameter without a default has the first of its `examples`.
        """
        given = {
            key: field.examples[0]
            for key, field in cls.model_fields.items()
            if field.is_required() and field.examples
        }
        return (cls.model_validate(given),)

    @property
    def parameters(self) -> dict[str, object]:
        """All but its name, as a history holds them."""
        return self.model_dump(mode="json", exclude={"name"})

    @property
    @abstractmethod
    def parameters_text(self) -> str:
        """Its parameters in a few words, with units."""

    def __str__(self) -> str:
        return f"{self.name} · {self.parameters_text}"

    @classmethod
    def fault_name(cls) -> str:
        """The name by which a scenario asks for it."""
        return str(cls.model_fields["name"].default)

    @classmethod
    def summary(cls) -> str:
        """The first sentence about it, from its docstring."""
        return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())

    @classmethod
    def parameter_schema(cls) -> dict[str, dict[str, Any]]:
        """The JSON Schema of each parameter, by its key; `required` says whether it has no default."""
        schema = cls.model_json_schema()
        required = schema.get("required", ())
        return {
            key: {**parameter, "required": key in required}
            for key, parameter in schema["properties"].items()
            if key != "name"
        }


def effect_of_ending(how: How) -> SocketEffect:
    """What a client's socket sees of an end."""
    return "reset" if how == "reset" else "eof"
