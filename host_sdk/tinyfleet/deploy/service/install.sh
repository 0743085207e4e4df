#!/bin/sh
# Install the gateway as a service on this machine (Debian 12 or newer, Ubuntu 22.04 or newer with Python 3.11+).
#
#   install.sh PACKAGE [CONFIG.toml]
#
# PACKAGE is what pip is given: tinyfleet[gateway,mqtt] or ./tinyfleet-1.0-py3-none-any.whl[gateway]. Further words for pip, for example
# --constraint FILE, come from TINYFLEET_PIP. Without CONFIG.toml a sample is put into /etc/tinyfleet, unless there is one already.
# Run it again to update: configuration and data stay. TINYFLEET_PREFIX (default /opt/tinyfleet) is where the program goes.
set -eu

say() { printf 'install: %s\n' "$*"; }
fail() {
    printf 'error: %s\n  hint: %s\n' "$1" "$2" >&2
    exit 1
}

[ $# -ge 1 ] && [ $# -le 2 ] || {
    printf 'usage: %s PACKAGE [CONFIG.toml]\n' "$0" >&2
    exit 2
}
package=$1 given=${2:-}
prefix=${TINYFLEET_PREFIX:-/opt/tinyfleet}
here=$(cd -- "$(dirname -- "$0")" && pwd -P)
config=/etc/tinyfleet/gateway.toml
user=tinyfleet

[ "$(id -u)" -eq 0 ] || fail "this makes a user and writes to /etc: it needs root" "sudo $0 $*"
python=${TINYFLEET_PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$python is not Python 3.11 or newer" "install python3 and python3-venv, or set TINYFLEET_PYTHON"
"$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python cannot make environments" "apt-get install python3-venv"
[ -z "$given" ] || [ -r "$given" ] || fail "cannot read $given" "give the path of a gateway configuration"

if ! id -u "$user" >/dev/null 2>&1; then
    say "user $user"
    useradd --system --user-group --home-dir /var/lib/tinyfleet --no-create-home --shell /usr/sbin/nologin "$user"
fi
# Serial ports and the TPM.
for group in dialout tss; do
    if getent group "$group" >/dev/null; then usermod -a -G "$group" "$user"; fi
done

say "program in $prefix"
[ -x "$prefix/bin/python" ] || "$python" -m venv "$prefix"
# shellcheck disable=SC2086  # a list of words
"$prefix/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade ${TINYFLEET_PIP:-} "$package"

install -d -m 0750 -o root -g "$user" /etc/tinyfleet
install -d -m 0700 -o "$user" -g "$user" /var/lib/tinyfleet
if [ -n "$given" ]; then
    install -m 0640 -o root -g "$user" "$given" "$config"
elif [ ! -e "$config" ]; then
    say "sample configuration in $config"
    install -m 0640 -o root -g "$user" "$here/gateway.toml" "$config"
fi

say "checking $config as $user"
# setpriv keeps nothing of root; runuser needs PAM, which small systems lack.
setpriv --reuid "$user" --regid "$user" --init-groups "$prefix/bin/tinyfleet" gateway check "$config" ||
    fail "the configuration cannot be used" "change $config and run this again"

if [ -d /etc/systemd/system ]; then
    say "service tinyfleet-gateway"
    sed "s#/opt/tinyfleet/#$prefix/#g" "$here/tinyfleet-gateway.service" >/etc/systemd/system/tinyfleet-gateway.service
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl enable --quiet tinyfleet-gateway
        say "start it: systemctl start tinyfleet-gateway"
    fi
else
    say "no systemd here; run it as $user: $prefix/bin/tinyfleet gateway run $config"
fi
