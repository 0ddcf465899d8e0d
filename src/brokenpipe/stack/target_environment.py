"""The environment of a target: the DSN of its database, the settings of its arm, and the witness."""

from __future__ import annotations

from pathlib import Path

from brokenpipe.history.file_names import part_suffix
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.secrets.passed_variables import passed_names, passed_variables
from brokenpipe.plan.target import Target
from brokenpipe.redaction import is_secret_name
from brokenpipe.stack.postgres.certificates import NO_TLS, Certificates
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.witness import environment as witness_environment


def dsn_via_proxy(proxy: Proxy, database: Database, target: Target, certificates: Certificates | None) -> str:
    """The DSN of a database through its arm's proxy, in the form that the target wants."""
    return target.dsn.format(
        user=database.user,
        password=database.password,
        host=proxy.host,
        port=proxy.port,
        database=database.name,
        **(certificates.client_parameters if certificates else NO_TLS),
    )


def target_environment(
    plan: Plan, arm: str, report: Path, part: int, certificates: Certificates | None
) -> dict[str, str]:
    """The target's own variables, the scenario's and the arm's over them, what is passed on, and those of the witness.

    Raises UsageError if a variable that is to be passed on is not set.
    """
    tls = certificates.environment if certificates else {}
    target = plan.target_of(arm)
    variables = {
        **tls,
        **target.env,
        **plan.scenario.variables_of(arm),
        **passed_variables(plan, arm),
    }
    if not target.witness:
        return variables
    pythonpath = variables.get("PYTHONPATH", "")
    secrets = {*passed_names(plan, arm), *(name for name in variables if is_secret_name(name))}
    return {
        **variables,
        **witness_environment(arm, report, pythonpath=pythonpath, suffix=part_suffix(part), secrets=secrets),
    }
