"""What is secret, and what is left of it where it is shown."""

from __future__ import annotations

import time

import pytest

from brokenpipe.plan.secrets.redacted_plan import redacted_toml
from brokenpipe.redaction import (
    REDACTED,
    is_secret_name,
    redacted,
    redacted_arguments,
    redacted_environments,
    redacted_text,
    secret_values,
)

SECRET = (
    "KEY OPENAI_API_KEY API_KEYS apiKey STRIPE_SECRET JWT_SECRET_BASE TOKEN HF_TOKEN accessToken DB_PASSWORD "
    "PGPASSWORD "
    "MYSQL_PWD DB_PASS REDIS_PASSWD GOOGLE_APPLICATION_CREDENTIALS BASIC_AUTH CLIENTSECRET SESSION_COOKIE API_TOKENS "
    "OPENAIAPIKEY password"
)
PLAIN = (
    "MONKEY KEYBOARD MONKEY_COUNT TURKEY KEYNOTE DB_DRIVER POOL_PRE_PING MAX_TOKENS OPENAI_MAX_TOKENS "
    "TOKENIZERS_PARALLELISM AUTHOR PASSAGE pass_env COMPASS SECRETARY_MODE BYPASS PWD OLDPWD DB_POOL_SIZE PASSIVE"
)


@pytest.mark.parametrize("name", SECRET.split())
def test_names_of_secrets(name: str) -> None:
    """A part of the name, between underscores or capitals, says that its value is for nobody's eyes."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN.split())
def test_names_of_other_things(name: str) -> None:
    """A word that only contains such a word is none, and a number of tokens is no token."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@db:5432/x", f"postgresql://me:{REDACTED}@db:5432/x"),
        ("redis://:hunter2@cache/0", f"redis://:{REDACTED}@cache/0"),
        ("postgres://me:hunt@er2@db/x", f"postgres://me:{REDACTED}@db/x"),
        ("https://hunter2@github.example/x.git", f"https://{REDACTED}@github.example/x.git"),
        ("http://hunter2@x.example/", f"http://{REDACTED}@x.example/"),
        ("host=db password=hunter2 user=me", f"host=db password={REDACTED} user=me"),
        ("host=db password='hunter2 x' user=me", f"host=db password='{REDACTED}' user=me"),
        ("https://x.example/?api_key=hunter2&n=1", f"https://x.example/?api_key={REDACTED}&n=1"),
        ('{"apiKey": "hunter2", "n": 1}', f'{{"apiKey": "{REDACTED}", "n": 1}}'),
        ("Authorization: Bearer hunter2", f"Authorization: Bearer {REDACTED}"),
        ('{ API_KEY = "hunter2", N = 1 }', f'{{ API_KEY = "{REDACTED}", N = 1 }}'),
        ("postgresql://{user}:{password}@{host}:{port}/{database}", None),
        ("host={host} password={password}", None),
        ("postgres://me@db:5432/x", None),
        ("http://127.0.0.1:8089/a@b", None),
        ("DB_DRIVER=psycopg", None),
        (f"postgresql://me:{REDACTED}@db/x", None),
        ("API_KEY=", None),
    ],
)
def test_texts(text: str, shown: str | None) -> None:
    """Of a text only the secret goes; without one, and done twice, it stays as it is."""
    assert redacted_text(text) == (text if shown is None else shown)
    assert redacted_text(redacted_text(text)) == redacted_text(text)


def test_a_value_says_nothing_of_itself() -> None:
    """Neither its length nor anything made from it; an empty value is no secret."""
    assert redacted("API_KEY", "short") == redacted("API_KEY", "a" * 200) == REDACTED
    assert redacted("API_KEY", "") == ""


def test_different_values_stay_different() -> None:
    """Arms that differ in nothing but a secret differ, and equal ones are equal; other variables are untouched."""
    one, two, three = redacted_environments(
        [
            {"API_KEY": "a", "DB": "x://u:p@h"},
            {"API_KEY": "b", "DB": "x://u:q@h"},
            {"API_KEY": "a", "N": "1"},
        ]
    )
    assert one["API_KEY"] == three["API_KEY"] != two["API_KEY"]
    assert one["DB"] != two["DB"]
    assert one["DB"].startswith("x://u:‹")
    assert three["N"] == "1"


def test_a_command_line_can_be_repeated() -> None:
    """An assignment of a secret becomes the name alone, which `--env` takes from whoever repeats the command."""
    arguments = [
        "run",
        "--env",
        "API_KEY=a b",
        "--env=DB=x://u:p@h/",
        "--env",
        "N=1",
        "--reports",
        "http://u:p@h",
    ]
    assert redacted_arguments(arguments) == [
        "run", "--env", "API_KEY", "--env=DB", "--env", "N=1", "--reports", f"http://u:{REDACTED}@h",
    ]  # fmt: skip


def test_what_is_looked_for_in_the_output_of_a_program() -> None:
    """Secrets in the forms that programs print them in, longest first; nothing that is too short to be meant."""
    variables = {
        "API_KEY": 'a "b" c', "PIN_PASSWORD": "1234", "N": "secretly", "DB": "x://u:hunter22@h", "REGION": "eu-west"
    }  # fmt: skip
    values = secret_values(variables, passed=["REGION"])
    assert set(values) == {'a "b" c', 'a \\"b\\" c', "a%20%22b%22%20c", "hunter22", "eu-west"}
    assert list(values) == sorted(values, key=len, reverse=True)


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a=" * 100_000, '"' * 200_000, "x://u:" * 30_000, "KEY = '" * 30_000]
)
def test_a_long_text_takes_no_long_time(text: str) -> None:
    """Messages quote files, and files of others may be anything."""
    begin = time.monotonic()
    redacted_text(text)
    redacted_toml(text)
    assert time.monotonic() - begin < 20
