#!/usr/bin/env bash
# Makes every image of the stack in containers: official bases from a registry, or stand-ins for them where none can be
# reached (base-images.sh), and ours on top of those. What is there already is not made again. `make images` runs this.
#
# Usage: compose/images.sh [bases]       bases: only those, which need nothing of this repository's set-up
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=compose/engine.sh
. compose/engine.sh
# NAME: from a registry, else a stand-in. A failure there is no failure here as long as a stand-in can be made.
base() {
    present "$1" && return
    say "$1: asking the registry …"
    if docker pull --quiet "$1" > /dev/null 2> "$scratch/${1%%:*}"; then return; fi
    say "$1: $(tail -n 1 "$scratch/${1%%:*}")"
    compose/base-images.sh "$1"
}

# NAME FOLDER [OPTIONS OF docker build …]
image() {
    local started=$SECONDS
    build --file "compose/images/$2/Dockerfile" --tag "$1" "${@:3}" . || return
    say "$1: there, after $((SECONDS - started)) s$(if standin "$1"; then echo ", on a stand-in"; fi)"
}

# pip in a build asks where pip on this machine asks.
pip_asks() { python3 -m pip config get "global.$1" 2> /dev/null || true; }
export PIP_INDEX_URL=${PIP_INDEX_URL:-$(pip_asks index-url)} PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL:-$(pip_asks extra-index-url)}

toxiproxy() {
    local binary
    binary=$(.venv/bin/brokenpipe build --for linux) || return
    image brokenpipe/toxiproxy:2.12.0 toxiproxy --build-arg "BINARY=proxies/.build/${binary##*/}"
}

python_bases() { base python:3.11-slim-bookworm; }
debian_bases() { base debian:trixie-slim && base postgres:17-bookworm; }
agent() { image brokenpipe/agent:1 agent --build-arg PIP_INDEX_URL --build-arg PIP_EXTRA_INDEX_URL; }
servers() { toxiproxy && image brokenpipe/pgbouncer:1.24 pgbouncer; }

# Two commands side by side, since most of it is waiting for mirrors. Both end before this does. (Within, a failure does
# not end the shell, as always in what is asked for its success: what follows a command that may fail says `|| return`.)
both() {
    local one failed=0
    "$1" & one=$!
    "$2" || failed=$?
    wait "$one" || failed=$?
    return "$failed"
}

case ${1:-all} in
bases) both python_bases debian_bases ;;
all) both python_bases debian_bases && both agent servers ;;
*) stop "compose/images.sh: $1 is nothing it can make." "Say bases, or nothing for all of them." ;;
esac
