#!/bin/sh
# A PostgreSQL for one run of tests: it lives as long as our standard input is open.
#
# Prints the directory of its socket once it takes connections; the superuser is `postgres`, the port (it names the
# socket) 5432, and no password is asked. Whoever starts us keeps the other end of the pipe, so the server ends with
# them however they end, `kill -9` included, and its directory with it.
#
# Durability stays as PostgreSQL ships it: the product refuses a server that could lose what it acknowledged.
set -eu
umask 077

find_binaries() {
    newest_first=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5 -rn)
    on_path=$(dirname "$(command -v postgres || echo ./none)")
    for bin in "$(pg_config --bindir 2>/dev/null || true)" $newest_first "$on_path"; do
        if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then
            echo "$bin"
            return
        fi
    done
    echo "No PostgreSQL server was found, and the tests need one: apt-get install postgresql" >&2
    exit 3
}

# The server refuses to run as root. SIGQUIT ends it at once when this shell is killed and can run no trap.
unprivileged() {
    if [ "$(id -u)" -ne 0 ]; then
        if command -v setpriv >/dev/null; then
            exec setpriv --pdeathsig QUIT "$@"
        fi
        exec "$@"
    fi
    exec setpriv --reuid "$account" --regid "$(id -g "$account")" --clear-groups --pdeathsig QUIT "$@"
}

end() {
    trap - EXIT HUP INT TERM
    if [ -n "$server" ]; then
        kill -QUIT "$server" 2>/dev/null || true
        wait "$server" || true
    fi
    rm -rf "$dir"
    exit "$1"
}

give_up() {
    echo "PostgreSQL did not start:" >&2
    tail -n 20 "$dir/log" >&2
    end 1
}

bin=$(find_binaries)
account=postgres
id "$account" >/dev/null 2>&1 || account=nobody

# Not $TMPDIR: another account must be able to enter it, and the path of a socket has 107 bytes at most.
dir=$(mktemp -d /tmp/pms-postgres.XXXXXX)
server=
trap 'end $?' EXIT
trap 'end 1' HUP INT TERM
: >"$dir/log"
if [ "$(id -u)" -eq 0 ]; then
    chown -R "$account" "$dir"
fi
cd "$dir"

# `--no-sync` spares the initial files alone; the server itself syncs.
(unprivileged "$bin/initdb" -D "$dir/data" -U postgres --auth=trust --encoding=UTF8 --locale=C --no-sync) \
    >>"$dir/log" 2>&1 || give_up
(unprivileged "$bin/postgres" -D "$dir/data" -p 5432 \
    -c listen_addresses= -c "unix_socket_directories=$dir" -c max_connections=200) >>"$dir/log" 2>&1 &
server=$!

tries=600
until grep -q '^ready' "$dir/data/postmaster.pid" 2>/dev/null; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ] || ! kill -0 "$server" 2>/dev/null; then
        give_up
    fi
    sleep 0.1
done
echo "$dir"

while read -r _; do :; done
end 0
