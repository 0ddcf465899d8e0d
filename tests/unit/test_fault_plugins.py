"""Faults of other distributions, found by their entry points, and entry points that give none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest

from brokenpipe.drive.doctor.local import check_fault_plugins, every_fault
from brokenpipe.errors import PluginError, ScenarioError
from brokenpipe.faults import check_plugins, fault_kind, fault_kinds, neutral_toxics, registry
from brokenpipe.faults.recorded import parse_fault
from brokenpipe.faults.registry import BUILT_IN
from brokenpipe.measure.attribution.fault_windows import FaultWindow
from brokenpipe.plan.scenario import parse_scenario
from brokenpipe.plan.schema import scenario_schema
from brokenpipe.report.web.page import fault_forms

PLUGIN = Path(__file__).parents[1] / "fault_plugin"

Install = Callable[[Path], None]


def forget_faults() -> None:
    """Faults are found anew when one is next asked for."""
    registry.cache_clear()
    parse_fault.cache_clear()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs the distribution of a folder for one test."""
    modules = set(sys.modules)

    def put_on_path(folder: Path) -> None:
        monkeypatch.syspath_prepend(folder)
        invalidate_caches()
        forget_faults()

    forget_faults()
    yield put_on_path
    for added in set(sys.modules) - modules:
        if added.startswith(("brokenpipe_far", "broken_plugin")):
            del sys.modules[added]
    forget_faults()


@pytest.fixture
def make_plugin(tmp_path: Path, install: Install) -> Callable[[str, str], None]:
    """Installs a distribution `broken-plugin` with these entry points and this module `broken_plugin`."""

    def make(entry_points: str, code: str = "") -> None:
        info = tmp_path / "broken_plugin-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[brokenpipe.faults]\n{entry_points}\n")
        (tmp_path / "broken_plugin.py").write_text(code)
        install(tmp_path)

    return make


def test_faults_of_another_distribution_stand_beside_those_of_the_package(install: Install) -> None:
    """They are found behind the entry points, after those of the package, with the distribution they come from."""
    install(PLUGIN)
    check_plugins()
    names = [kind.fault_name() for kind in fault_kinds()]
    assert names == [*(kind.fault_name() for kind in BUILT_IN), "failover", "far_region"]
    source = registry().plugins["far_region"]
    assert (source.distribution, source.version) == ("brokenpipe-far", "0.1")


def test_every_proxy_carries_the_toxics_of_a_plugin(install: Install) -> None:
    """They stand in front of what ends connections, like the latency of the package."""
    install(PLUGIN)
    names = [toxic.name for toxic in neutral_toxics()]
    assert names[:4] == ["latency_downstream", "latency_upstream", "far_upstream", "far_downstream"]
    assert names[-1] == "black_hole_downstream"


def test_the_doctor_the_schema_and_the_form_have_the_faults_of_a_plugin(install: Install) -> None:
    """All three are made of what the fault's class says: parameters, limits, first values, words."""
    install(PLUGIN)
    assert {str(fault) for fault in every_fault()} >= {
        "far_region · 20 ms each way",
        "failover · 100 ms away",
    }
    assert [(each.name, each.passed, each.finding) for each in check_fault_plugins()] == [
        ("fault failover", True, "from brokenpipe-far 0.1"),
        ("fault far_region", True, "from brokenpipe-far 0.1"),
    ]
    assert scenario_schema()["$defs"]["FarRegion"]["required"] == ["name", "ms"]
    form = {str(each["name"]): each for each in fault_forms()}["far_region"]
    assert form["momentary"] is False
    assert form["description"] == "A database in another region: what is sent is late in both directions."
    assert form["fields"] == [
        {
            "key": "ms",
            "choices": None,
            "least": 1,
            "most": 5000,
            "default": 20,
            "required": True,
            "hint": "Milliseconds of one way.",
        }
    ]


SCENARIO = """
title = "t"
question = "?"
target = "agent"
control = "a"
[load]
users = 1
locustfile = "l.py"
[arms]
a = {}
[[phases]]
name = "p"
seconds = 4
fault = { %s }
"""


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ('name = "far_regoin", ms = 3', "did you mean 'far_region'?"),
        ('name = "far_region", mss = 3', "did you mean 'ms'?"),
        ('name = "far_region", ms = 0', "must be 1 or more"),
        ('name = "failover"', "failover is momentary"),
    ],
)
def test_a_scenario_is_checked_against_the_faults_of_a_plugin(
    install: Install, tmp_path: Path, fault: str, problem: str
) -> None:
    """A wrong name, key or value is a mistake in the file, in the same words as for a fault of the package."""
    install(PLUGIN)
    path = tmp_path / "s.toml"
    path.write_text(SCENARIO % fault)
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(path)
    assert problem in " ".join(map(str, caught.value.problems))


HEAD = """
from typing import ClassVar, Literal
from brokenpipe.faults import BlackHole, SocketKill, Toxic
"""


@pytest.mark.parametrize(
    ("entry_points", "code", "problem"),
    [
        ("odd = no_such_module:Odd", "", "cannot be imported: ModuleNotFoundError: No module named"),
        ("odd = broken_plugin:Odd", "", "cannot be imported: AttributeError"),
        ("odd = broken_plugin:Odd", "1 / 0", "cannot be imported: ZeroDivisionError"),
        ("odd = broken_plugin:odd", "def odd(): pass", "is of type function, and no subclass of brokenpipe.faults"),
        ("odd = broken_plugin:Odd", "class Odd: pass", "is the class Odd, and no subclass of brokenpipe.faults.Fault"),
        ("odd = broken_plugin:Fault", "from brokenpipe.faults import Fault", "does not say contract, inject, "),
        (
            "latency = broken_plugin:Mine",
            HEAD + "class Mine(BlackHole):\n    name: Literal['latency'] = 'latency'",
            "the name latency belongs to a fault of brokenpipe itself",
        ),
        (
            "odd = broken_plugin:Odd",
            HEAD + "class Odd(BlackHole):\n    name: Literal['even'] = 'even'",
            'must have `name: Literal["odd"] = "odd"`, as its entry point',
        ),
        (
            "odd = broken_plugin:Odd",
            HEAD + "class Odd(BlackHole):\n    name: Literal['odd'] = 'odd'\n    ms: int",
            "cannot be made without parameters",
        ),
        (
            "odd = broken_plugin:Odd",
            HEAD + "class Odd(SocketKill):\n    name: Literal['odd'] = 'odd'\n"
            "    all_toxics: ClassVar = (Toxic('kill_switch', 'latency', 'upstream', {'latency': 0}),)",
            "has a toxic kill_switch, of which there is another with the same name",
        ),
    ],
)  # fmt: skip
def test_an_entry_point_that_gives_no_fault_is_named(
    make_plugin: Callable[[str, str], None], entry_points: str, code: str, problem: str
) -> None:
    """Which distribution, which entry point, what was found there, and what to do; no other fault is lost."""
    make_plugin(entry_points, code)
    with pytest.raises(PluginError) as caught:
        check_plugins()
    assert caught.value.message.startswith(
        f"broken-plugin 1.2: entry point {entry_points} of brokenpipe.faults:"
    )
    assert problem in caught.value.message
    assert "broken-plugin" in caught.value.remedy or "one of the two" in caught.value.remedy
    assert fault_kinds() == BUILT_IN
    (result,) = check_fault_plugins()
    assert not result.passed
    assert problem in result.finding


def test_two_distributions_cannot_have_a_fault_of_one_name(
    install: Install, make_plugin: Callable[[str, str], None]
) -> None:
    """The second is refused, and the message names the first."""
    install(PLUGIN)
    make_plugin("far_region = zz_broken_plugin:Odd", "")
    with pytest.raises(PluginError, match=r"belongs to a fault of brokenpipe-far 0\.1"):
        check_plugins()
    assert fault_kind("far_region") is not None


def test_a_fault_may_derive_from_another_fault(make_plugin: Callable[[str, str], None]) -> None:
    """However deep its class is below Fault, it is what it says it is: here a strike below a strike."""
    make_plugin(
        "hard_kill = broken_plugin:HardKill",
        HEAD + "class HardKill(SocketKill):\n    name: Literal['hard_kill'] = 'hard_kill'",
    )
    check_plugins()
    kind = fault_kind("hard_kill")
    assert kind is not None
    assert (kind.momentary, kind.recorded_as) == (True, "kill_switch")
    window = FaultWindow("hard_kill", None, "p", 0, 1, 2)
    assert window.momentary
