# shellcheck shell=bash
# Part of .ci/run: a Docker engine for as long as CI runs, if there is none; with nothing of it left afterwards.

# Where none answers, one is started that listens on a socket in a folder of its own and keeps everything there.
start_engine() {
    docker version > /dev/null 2>&1 && return
    engine=$(mktemp --directory)
    iptables-save > "$engine/iptables"
    ip link show docker0 > /dev/null 2>&1 || touch "$engine/bridge-is-ours"
    # Its storage driver is up to it: overlay2, or vfs where the folder itself is on an overlay.
    dockerd --data-root "$engine/data" --exec-root "$engine/exec" --pidfile "$engine/pid" \
        --host "unix://$engine/socket" > "$engine/log" 2>&1 < /dev/null &
    engine_pid=$!
    export DOCKER_HOST="unix://$engine/socket"
    until docker version > /dev/null 2>&1; do
        if ! kill -0 "$engine_pid" 2> /dev/null || [ "$((SECONDS))" -gt "${engine_deadline:=$((SECONDS + 60))}" ]; then
            tail -n 20 "$engine/log" >&2
            return 1
        fi
        sleep 0.2
    done
    docker info --format 'A Docker engine of our own: {{.ServerVersion}}, {{.Driver}}'
}

# Does nothing if none was started. Its containers end with it.
end_engine() {
    [ -n "${engine:-}" ] || return 0
    kill "$engine_pid" 2> /dev/null || true
    wait "$engine_pid" 2> /dev/null || true
    [ ! -e "$engine/bridge-is-ours" ] || ip link delete docker0 2> /dev/null || true
    iptables-restore < "$engine/iptables" || true
    rm -rf "$engine"
}
