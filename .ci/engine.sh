# shellcheck shell=bash
# Part of .ci/run: a Docker engine for as long as CI runs, if there is none; with nothing of it left afterwards.

# Where none answers, one is started that listens on a socket in a folder of its own and keeps everything there.
start_engine() {
    docker version > /dev/null 2>&1 && return
    engine=$(mktemp --directory)
    local table
    for table in filter nat; do # one that was never used is not saved, and could not be restored: use it
        iptables --table "$table" --new-chain of-brokenpipe && iptables --table "$table" --delete-chain of-brokenpipe
    done
    iptables-save > "$engine/iptables"
    ip link show docker0 > /dev/null 2>&1 || touch "$engine/bridge-is-ours"
    if ! grep -q ' cgroup' /proc/mounts; then # a machine without systemd may not have mounted any
        mount -t cgroup2 none /sys/fs/cgroup && touch "$engine/cgroups-are-ours"
    fi
    if [ -e /sys/fs/cgroup/cgroup.type ]; then divide_cgroups; fi
    # Its storage driver is up to it: overlay2, or vfs where the folder itself is on an overlay.
    dockerd --data-root "$engine/data" --exec-root "$engine/exec" --pidfile "$engine/pid" \
        --host "unix://$engine/socket" > "$engine/log" 2>&1 < /dev/null &
    engine_pid=$!
    local deadline=$((SECONDS + 60)) # measured: 3 s
    export DOCKER_HOST="unix://$engine/socket"
    until docker version > /dev/null 2>&1; do
        if ! kill -0 "$engine_pid" 2> /dev/null || [ "$SECONDS" -gt "$deadline" ]; then
            grep -v module=grpc "$engine/log" | tail -n 20 >&2
            return 1
        fi
        sleep 0.2
    done
    docker info --format 'A Docker engine of our own: {{.ServerVersion}}, {{.Driver}}'
}

# In a container, cgroups can have limits only once no process is left in the one that all are in.
divide_cgroups() {
    local process controller
    mkdir -p /sys/fs/cgroup/ci
    while read -r process; do
        echo "$process" > /sys/fs/cgroup/ci/cgroup.procs || true # some have ended meanwhile
    done < /sys/fs/cgroup/cgroup.procs
    # shellcheck disable=SC2013 # one line of words
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
    done
}

# Does nothing if none was started. Its containers end with it.
end_engine() {
    [ -n "${engine:-}" ] || return 0
    if [ -n "${engine_pid:-}" ]; then # it may never have started
        kill "$engine_pid" 2> /dev/null || true
        wait "$engine_pid" 2> /dev/null || true
    fi
    # It mounts its own folder, and does not take that back when it could not start.
    awk -v folder="$engine/" 'index($2, folder) == 1 { print $2 }' /proc/mounts | xargs -r umount || true
    [ ! -e "$engine/cgroups-are-ours" ] || umount /sys/fs/cgroup || true
    [ ! -e "$engine/bridge-is-ours" ] || ip link delete docker0 2> /dev/null || true
    [ ! -s "$engine/iptables" ] || iptables-restore < "$engine/iptables" || true
    rm -rf "$engine"
}
