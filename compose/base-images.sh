#!/usr/bin/env bash
# Base images from Debian packages, for machines that reach no image registry. Each gets the name of the official image
# that it stands in for, and the label brokenpipe.standin=true, which everything built on it inherits. A name that is
# taken, by an official image or an earlier stand-in, stays as it is. `compose/images.sh` calls this where it must.
#
# Usage: compose/base-images.sh NAME…       names: debian:trixie-slim python:3.11-slim-bookworm postgres:17-bookworm
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=compose/engine.sh
. ./engine.sh

LABEL=brokenpipe.standin=true
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

command -v mmdebstrap > /dev/null ||
    stop "Stand-ins are made by mmdebstrap, and there is none." "On Debian or Ubuntu: apt-get install mmdebstrap. Elsewhere: let the engine reach an image registry."
# shellcheck disable=SC2016 # apt-get's own placeholders
# Where this machine has its Debian packages from, and through which proxy.
mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2> /dev/null |
    awk '$1 == "Debian" && $2 !~ /security/ && !found++ { print $2 }')
[ -n "$mirror" ] ||
    stop "Stand-ins are made of Debian packages, and apt has none to offer here." "Name a mirror of Debian's in apt's sources and run apt-get update."

# SUITE NAME [MORE OPTIONS OF mmdebstrap …]: a minimal system as an image. It trusts the certificate authorities that
# this machine trusts: what is installed in it later comes by the same ways as what is installed here. Its apt keeps
# neither caches nor packages, as that of the official images.
base() {
    local suite=$1 name=$2 tree
    tree=$(mktemp --suffix .tar "$scratch/XXXXXX")
    apt-config dump | grep -E '^Acquire::https?::Proxy ' > "$tree.apt" || true
    mmdebstrap --quiet --variant=minbase --skip=output/dev --format=tar \
        --aptopt="$tree.apt" --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
        --aptopt='Dir::Cache::pkgcache ""' --aptopt='Dir::Cache::srcpkgcache ""' --dpkgopt='force-unsafe-io' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook="echo 'DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb\"; };' > \"\$1/etc/apt/apt.conf.d/no-packages-kept\"" \
        --customize-hook="mkdir -p \"\$1${CERTIFICATES%/*}\"" \
        --customize-hook="test ! -e $CERTIFICATES || cp --dereference $CERTIFICATES \"\$1$CERTIFICATES\"" \
        "${@:3}" "$suite" "$tree" "$mirror"
    docker import --change "LABEL $LABEL" --change 'CMD ["bash"]' \
        --change "ENV PIP_CERT=$CERTIFICATES" "$tree" "$name" > /dev/null
    rm -f "$tree"
}

make_one() {
    case $1 in
    debian:trixie-slim) base trixie "$1" ;;
    python:3.11-slim-bookworm)
        # shellcheck disable=SC2016 # mmdebstrap puts the folder there
        base bookworm "$1" --include=python3-venv --customize-hook='ln -s /usr/bin/python3 "$1/usr/local/bin/python"'
        ;;
    postgres:17-bookworm) build --label "$LABEL" --tag "$1" base-images/postgres ;;
    *) stop "No stand-in for $1." "There are: debian:trixie-slim python:3.11-slim-bookworm postgres:17-bookworm." ;;
    esac
}

for name in "$@"; do
    if present "$name"; then continue; fi
    say "$name: making a stand-in from Debian packages …"
    started=$SECONDS
    make_one "$name"
    say "$name: a stand-in, made in $((SECONDS - started)) s"
done
