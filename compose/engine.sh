# shellcheck shell=bash
# Part of the scripts in this folder: the Docker engine they work on, and how they speak.

say() { printf '%s\n' "$1"; }

# WHAT HAPPENED, WHAT TO DO: as an error, and the end. 4, as when a part of the stack did not start.
stop() {
    printf '%s\n%s\n' "$1" "$2" >&2
    exit 4
}

present() { docker image inspect "$1" > /dev/null 2>&1; }

standin() { [ "$(docker image inspect --format '{{index .Config.Labels "brokenpipe.standin"}}' "$1")" = true ]; }

command -v docker > /dev/null || stop "There is no docker command." "Install Docker, or run without containers: make loadtest."

endpoint=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}')}
case $endpoint in
unix://* | npipe://* | tcp://127.0.0.1:* | tcp://localhost:* | "tcp://[::1]:"*) ;;
*) stop "$endpoint is not this machine, and only this machine's Docker engine is used." \
    "Unset DOCKER_HOST, or choose a local engine: docker context use default." ;;
esac
docker version --format '{{.Server.Version}}' > /dev/null 2>&1 ||
    stop "No Docker engine answers at $endpoint." "Start it: systemctl start docker, or Docker Desktop."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# OPTIONS OF docker build …: what it says is shown only when it fails.
build() {
    local log code=0
    log=$(mktemp "$scratch/build.XXXXXX")
    docker build "$@" > "$log" 2>&1 || code=$?
    [ "$code" = 0 ] || tail -n 30 "$log" >&2
    return "$code"
}
