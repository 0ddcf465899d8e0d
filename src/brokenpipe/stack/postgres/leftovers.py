"""What is in a database and was not in it when it was created, as one query.

Objects of an empty database have ids below 16,384, whatever version made it:
https://www.postgresql.org/docs/current/system-catalog-initial-data.html#SYSTEM-CATALOG-OID-ASSIGNMENT
"""

from __future__ import annotations

_FIRST_ID = 16_384
_CATALOGS = (
    "pg_am", "pg_cast", "pg_class", "pg_collation", "pg_conversion", "pg_default_acl", "pg_event_trigger",
    "pg_extension", "pg_foreign_data_wrapper", "pg_foreign_server", "pg_language",
    "pg_largeobject_metadata", "pg_opclass", "pg_operator", "pg_policy", "pg_proc", "pg_publication",
    "pg_statistic_ext", "pg_transform", "pg_ts_config", "pg_ts_dict", "pg_type",
)  # fmt: skip
# Schemas of temporary tables belong to the server and stay.
_SCHEMAS = f"pg_namespace WHERE oid >= {_FIRST_ID} AND nspname !~ '^pg_(toast_)?temp_'"
_PUBLIC_IS_GONE = f"""(VALUES (1)) v WHERE NOT EXISTS (
    SELECT FROM pg_namespace WHERE nspname = 'public' AND oid < {_FIRST_ID} AND nspowner < {_FIRST_ID})"""
_CHANGED_PRIVILEGES = """pg_namespace n JOIN pg_init_privs p
    ON p.objoid = n.oid AND p.classoid = 'pg_namespace'::regclass WHERE n.nspacl IS DISTINCT FROM p.initprivs"""

COUNT_LEFTOVERS = "SELECT " + "\n + ".join(
    f"(SELECT count(*) FROM {each})"
    for each in (
        *(f"{catalog} WHERE oid >= {_FIRST_ID}" for catalog in _CATALOGS),
        _SCHEMAS,
        _PUBLIC_IS_GONE,
        _CHANGED_PRIVILEGES,
    )
)
"""The number of objects, schemas and changed privileges that an empty database does not have."""
