"""The environment of a target: the address of its database, the settings of its arm, and the witness."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from brokenpipe.history.file_names import part_suffix
from brokenpipe.plan.placeholders import fill_database_words
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.secrets.passed_variables import passed_names, passed_variables
from brokenpipe.plan.target import Target
from brokenpipe.redaction import is_secret_name
from brokenpipe.stack.postgres.certificates import NO_TLS, Certificates
from brokenpipe.stack.postgres.database import Database
from brokenpipe.witness import environment as witness_environment


def database_words(
    database: Database, address: tuple[str, int], certificates: Certificates | None
) -> dict[str, str]:
    """The words that placeholders stand for: a database at this address, that of its server or of a proxy."""
    return {
        "user": database.user,
        "password": database.password,
        "host": address[0],
        "port": str(address[1]),
        "database": database.name,
        **(certificates.client_parameters if certificates else NO_TLS),
    }


def address_variables(target: Target, words: Mapping[str, str]) -> dict[str, str]:
    """The variables in which a target finds its database, in the form that it wants."""
    templates = [name for name in target.address_variables if name in target.env]
    found = {name: fill_database_words(target.env[name], words) for name in templates}
    if target.dsn_env and target.dsn:
        found[target.dsn_env] = target.dsn.format_map(words)
    return found


def settings_environment(plan: Plan, arm: str, certificates: Certificates | None) -> dict[str, str]:
    """The target's own variables, the scenario's and the arm's over them, and what is passed on; not its database's
    address.

    Raises UsageError if a variable that is to be passed on is not set.
    """
    tls = certificates.environment if certificates else {}
    target = plan.target_of(arm)
    own = {name: value for name, value in target.env.items() if name not in target.address_variables}
    return {**tls, **own, **plan.scenario.variables_of(arm), **passed_variables(plan, arm)}


def target_environment(
    plan: Plan, arm: str, report: Path, part: int, certificates: Certificates | None
) -> dict[str, str]:
    """The same, with the variables of the witness. Raises UsageError as well."""
    target, variables = plan.target_of(arm), settings_environment(plan, arm, certificates)
    if not target.witness:
        return variables
    pythonpath = variables.get("PYTHONPATH", "")
    secrets = {*secret_names(plan, arm), *(name for name in variables if is_secret_name(name))}
    return {
        **variables,
        **witness_environment(arm, report, pythonpath=pythonpath, suffix=part_suffix(part), secrets=secrets),
    }


def secret_names(plan: Plan, arm: str) -> tuple[str, ...]:
    """Names of variables whose values are kept out of every text, whatever they are called."""
    return (*passed_names(plan, arm), *plan.target_of(arm).password_variables)
