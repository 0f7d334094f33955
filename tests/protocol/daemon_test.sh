#!/bin/sh
# leveretd as a program: options, settings, what it says on standard error, exit status, signals.
set -u
LEVERETD=${LEVERETD:-./leveretd}
. "${top_srcdir:-.}/tests/support/daemon.sh"

dir=$(mktemp -d "${TMPDIR:-/tmp}/leveret-daemon.XXXXXX") || exit 1
trap 'daemon_kill; rm -rf "$dir"' EXIT
passed=0 failed=0

# check TEXT COMMAND...: counts whether the command succeeds.
check() {
    text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $text" >&2
        sed 's/^/    /' "$dir/err" "$dir/log" >&2 2>/dev/null
    fi
}

# leveretd ARGUMENTS...: runs to the end; status in $status, output in $dir/out and $dir/err.
leveretd() {
    status=0
    "$LEVERETD" "$@" >"$dir/out" 2>"$dir/err" || status=$?
}

said() { grep -q -e "$2" "$dir/$1"; }
count_is() { [ "$(grep -c -e "$3" "$dir/$2")" -eq "$1" ]; }
# Ended with a status, having said this and nothing else.
refused() {
    [ "$status" -eq "$1" ] && [ ! -s "$dir/out" ] && [ "$(grep -vc '\[info\]' "$dir/err")" -eq 1 ] &&
        said err "^leveretd: $2\$"
}
exits_with() { [ "$1" -eq "$2" ]; }

# ---- Options and settings ----
leveretd --help
check "--help exits 0" exits_with "$status" 0
check "--help explains --management-port" said out "reserved for the management API"
check "--help explains SIGUSR1" said out "SIGUSR1"
check "--help explains --data-dir" said out "/var/lib/leveret"
leveretd --version
check "--version" said out '^leveretd [0-9]*\.[0-9]*\.[0-9]* (compatible with RabbitMQ 4\.'

leveretd --frobnicate
check "unknown option" refused 2 "unknown option '--frobnicate'; see --help"
leveretd --port 70000
check "bad port" refused 2 "--port: '70000' is not a number from 0 to 65535"
leveretd --data-dir "$dir/data" --port 0 now
check "stray argument" refused 2 "unexpected argument 'now'; see --help"

leveretd --config "$dir/none.conf"
check "missing file" refused 2 "cannot read $dir/none.conf: No such file or directory"
printf 'heartbeat = 60\nheartbeet = 60\n' >"$dir/bad.conf"
leveretd --config "$dir/bad.conf" --data-dir "$dir/data"
check "unknown key" refused 2 "$dir/bad.conf:2: unknown key 'heartbeet'"
check "wrong settings touch no data" [ ! -e "$dir/data" ]

leveretd --data-dir "$dir/data" --port 0 --bind localhost
check "bad address" refused 1 "cannot listen on localhost:0: not a numeric address"
touch "$dir/file"
leveretd --data-dir "$dir/file/data" --port 0 --bind 127.0.0.1
check "a data directory that cannot be" exits_with "$status" 1
check "... in one line" count_is 1 err "^leveretd: cannot use $dir/file: Not a directory\$"

# ---- A life ----
daemon_start "$dir/data" "$dir/log" --bind 127.0.0.1 --management-port 0 || exit 1
check "says where it listens" count_is 1 log "started TCP listener on 127.0.0.1:$DAEMON_PORT\$"
check "says that it is ready, once" count_is 1 log "ready: amqp port=$DAEMON_PORT\$"
check "says it as RabbitMQ does" count_is 1 log "Server startup complete"
leveretd --data-dir "$dir/data" --port 0 --bind 127.0.0.1
check "a data directory in use" exits_with "$status" 1
check "... in one line" count_is 1 err "^leveretd: data directory $dir/data is in use by another process"
leveretd --data-dir "$dir/data2" --port "$DAEMON_PORT" --bind 127.0.0.1
check "a port in use" refused 1 "cannot listen on 127.0.0.1:$DAEMON_PORT: Address already in use"

# asked N: sends SIGUSR1 and waits until there are N lines of figures; a minute at most.
asked() {
    kill -USR1 "$DAEMON_PID" || return
    tries=0
    until count_is "$1" log "\[info\] vhost '/': "; do
        tries=$((tries + 1))
        [ "$tries" -le 600 ] && kill -0 "$DAEMON_PID" 2>/dev/null || return
        sleep 0.1
    done
}
check "SIGUSR1 logs a line for the vhost" asked 1
check "... with counts" said log "vhost '/': queues=0 connections=0 ready=0 unacked=0; lock: holds=[1-9]"
check "... and times of the lock" said log ' hold_p50=[0-9.]* hold_p99=[0-9.]* hold_max=[0-9.]* wait_ms='
check "... and the store's figures" said log '; store: commits=[0-9]* ops_per_commit=[0-9.]* ms_per_commit='
check "SIGUSR1 again: another" asked 2
status=0
daemon_stop || status=$?
check "SIGTERM ends it with 0" exits_with "$status" 0

daemon_start "$dir/data" "$dir/log" --bind 127.0.0.1 || exit 1
kill -INT "$DAEMON_PID"
status=0
wait "$DAEMON_PID" || status=$?
check "SIGINT ends it with 0" exits_with "$status" 0
DAEMON_PID=

daemon_start "$dir/data" "$dir/log" --bind 127.0.0.1 || exit 1
daemon_kill
wait "$DAEMON_PID" 2>/dev/null
daemon_start "$dir/data" "$dir/log" --bind 127.0.0.1 --log-level none || exit 1
check "starts after kill -9; quiet when told" count_is 1 log .
daemon_stop
check "two runs on one data directory" said log "ready: amqp"

# ---- A configuration file ----
printf '%s\n' "# like RabbitMQ's" 'listeners.tcp.local = 127.0.0.1:0' 'listeners.tcp.v6 = [::1]:0' \
    'loopback_users.guest = false' 'log.console.level = info' 'channel_max_per_node = 900000' >"$dir/ok.conf"
# daemon_start gives --port, which would win: start this one by hand.
: >"$dir/log" # else the last one's ready line may be taken for this one's
"$LEVERETD" --config "$dir/ok.conf" --data-dir "$dir/data" >"$dir/log" 2>&1 &
DAEMON_PID=$!
while kill -0 "$DAEMON_PID" 2>/dev/null && ! said log 'ready: amqp port=[1-9]'; do sleep 0.1; done
if [ -e /proc/net/if_inet6 ] && grep -q '^0*1 ' /proc/net/if_inet6; then
    check "listens on each address" count_is 2 log 'started TCP listener on '
    check "keys without effect are named" \
        count_is 1 log "$dir/ok.conf:6: 'channel_max_per_node' is not implemented"
    status=0
    daemon_stop || status=$?
    check "and ends with 0" exits_with "$status" 0
else
    wait "$DAEMON_PID"
    DAEMON_PID=
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
