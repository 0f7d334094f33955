# Shell functions that start and stop the daemon for a test. Source it; needs $LEVERETD.
#
#   daemon_start DIR LOG [options]   start on a port of its choosing (with --loops $LEVERET_TEST_LOOPS
#                                    when that is set); sets DAEMON_PID, DAEMON_PORT
#   daemon_stop                      SIGTERM; returns the daemon's exit status
#   daemon_kill                      SIGKILL, when it still runs: for an EXIT trap
#
# shellcheck shell=sh

daemon_start() {
    daemon_dir=$1 daemon_log=$2
    shift 2
    : >"$daemon_log"
    "$LEVERETD" --port 0 --data-dir "$daemon_dir" \
        ${LEVERET_TEST_LOOPS:+--loops "$LEVERET_TEST_LOOPS"} "$@" >>"$daemon_log" 2>&1 &
    DAEMON_PID=$!
    DAEMON_PORT=
    daemon_tries=0
    while [ -z "$DAEMON_PORT" ]; do
        DAEMON_PORT=$(sed -n 's/.*ready: amqp port=\([0-9]*\).*/\1/p' "$daemon_log" | head -n 1)
        [ -n "$DAEMON_PORT" ] && break
        daemon_tries=$((daemon_tries + 1))
        if [ "$daemon_tries" -gt 600 ] || ! kill -0 "$DAEMON_PID" 2>/dev/null; then
            echo "the daemon did not get ready; its log:" >&2
            cat "$daemon_log" >&2
            kill -9 "$DAEMON_PID" 2>/dev/null || :
            return 1
        fi
        sleep 0.1
    done
}

daemon_stop() {
    daemon_result=0
    kill -TERM "$DAEMON_PID" || return
    wait "$DAEMON_PID" || daemon_result=$?
    DAEMON_PID=
    return "$daemon_result"
}

daemon_kill() {
    [ -z "${DAEMON_PID:-}" ] || kill -KILL "$DAEMON_PID" 2>/dev/null || :
}
