#!/bin/sh
# An OpenSSH server with SFTP for one test: it lives as long as our standard input is open.
#
# Prints its port, the account to sign in with, and its directory, once it takes connections. In the directory are
# `client` (the private key that opens it), `host.pub`, `log`, and `files` and `taken`, which the account may write to. It listens on loopback,
# with keys and settings of its own; nothing on the machine is used or changed.
set -eu
umask 022

# The server runs as one plain account, since only root's could let others in.
unprivileged() {
    if [ "$(id -u)" -ne 0 ]; then
        exec "$@"
    fi
    exec setpriv --reuid "$account" --regid "$(id -g "$account")" --clear-groups "$@"
}

end() {
    trap - EXIT HUP INT TERM
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" || true
    fi
    rm -rf "$dir"
    exit "$1"
}

give_up() {
    echo "The OpenSSH server did not start:" >&2
    tail -n 20 "$dir/log" >&2
    end 1
}

sshd=$(command -v sshd || echo /usr/sbin/sshd)
if [ ! -x "$sshd" ]; then
    echo "No OpenSSH server was found, and the tests need one: apt-get install openssh-server" >&2
    exit 3
fi
account=$(id -un)
if [ "$account" = root ]; then
    account=postgres
    id "$account" >/dev/null 2>&1 || account=nobody
fi

dir=$(mktemp -d /tmp/pms-sshd.XXXXXX)
server=
trap 'end $?' EXIT
trap 'end 1' HUP INT TERM
mkdir "$dir/files" "$dir/taken"
ssh-keygen -q -t "${HOST_KEY:-ed25519}" -N '' -C host -f "$dir/host"
ssh-keygen -q -t "${CLIENT_KEY:-ed25519}" -N '' -C client -f "$dir/client"
cp "$dir/client.pub" "$dir/authorized_keys"
chmod 755 "$dir"
: >"$dir/log"

port=
start() {
    cat >"$dir/config" <<CONFIG
ListenAddress 127.0.0.1:$1
HostKey $dir/host
PidFile $dir/pid
AuthorizedKeysFile $dir/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers $account
MaxStartups 200
Subsystem sftp internal-sftp
CONFIG
    rm -f "$dir/pid"
    if [ "$(id -u)" -eq 0 ]; then
        chown -R "$account" "$dir"
    fi
    (unprivileged "$sshd" -D -e -f "$dir/config") >>"$dir/log" 2>&1 &
    server=$!
    tries=100
    until [ -s "$dir/pid" ]; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! kill -0 "$server" 2>/dev/null; then
            return 1
        fi
        sleep 0.05
    done
    port=$1
}

# A port that somebody else has is not ours: the next is tried.
for _ in 1 2 3 4 5; do
    candidate=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
    if start "$candidate"; then
        break
    fi
done
[ -n "$port" ] || give_up
echo "$port $account $dir"

while read -r _; do :; done
end 0
