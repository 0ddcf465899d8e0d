#!/usr/bin/env bash
# What compose.yaml relies on in the entry point of the official image, and no more.
set -Eeuo pipefail

# NAME, or the content of the file that NAME_FILE names, or the second argument. Both at once the official image refuses.
setting() {
    local file="$1_FILE"
    if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then
        echo "error: both $1 and $file are set (but are exclusive)" >&2
        exit 1
    fi
    if [ -n "${!1:-}" ]; then echo "${!1}"; elif [ -n "${!file:-}" ]; then cat "${!file}"; else echo "${2:-}"; fi
}

make_cluster() {
    local user password database method
    user=$(setting POSTGRES_USER postgres)
    password=$(setting POSTGRES_PASSWORD)
    database=$(setting POSTGRES_DB "$user")
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        echo "Error: no password for the superuser: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE." >&2
        exit 1
    fi
    # shellcheck disable=SC2086 # several arguments in one variable, as the official image takes them
    initdb --username="$user" --pwfile=<(echo "$password") --auth-local=trust --auth-host="$method" \
        ${POSTGRES_INITDB_ARGS:-}
    printf 'host all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    if [ "$database" != postgres ]; then
        echo "CREATE DATABASE \"$database\";" | postgres --single -j -D "$PGDATA" postgres > /dev/null
    fi
}

case "${1:-}" in -*) set -- postgres "$@" ;; esac
if [ "${1:-}" = postgres ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA" || true
    if [ "$(id -u)" = 0 ]; then
        chown -R postgres:postgres "$PGDATA" /var/run/postgresql
        exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
    fi
    [ -s "$PGDATA/PG_VERSION" ] || make_cluster
fi
exec "$@"
