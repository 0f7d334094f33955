#!/bin/sh
# leveretd --load-definitions: users, vhosts, permissions, policies, exchanges, queues and bindings of a
# definitions.json work for clients (pika), survive restarts, and a bad file stops the start with one
# line.
set -u
LEVERETD=${LEVERETD:-./leveretd}
PYTHON=${PYTHON:-/usr/bin/python3}
here=${top_srcdir:-.}/tests
. "$here/support/daemon.sh"
"$PYTHON" -c 'import pika' 2>/dev/null || { echo "needs pika for $PYTHON: skipped" >&2; exit 77; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/leveret-definitions.XXXXXX") || exit 1
trap 'daemon_kill; rm -rf "$dir"' EXIT
passed=0 failed=0

check() {
    text=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $text" >&2
        sed 's/^/    /' "$dir/log" "$dir/err" >&2 2>/dev/null
    fi
}

cat >"$dir/definitions.json" <<'JSON'
{"rabbit_version": "4.2.0",
 "users": [
  {"name": "app", "password": "s3cret", "tags": []},
  {"name": "few", "password": "f", "tags": []},
  {"name": "lim", "password": "l", "tags": [], "limits": {"max-connections": 2, "max-channels": 3}},
  {"name": "free", "password": "f", "tags": [], "limits": {"max-connections": -1, "max-channels": 0}},
  {"name": "out", "password": "o", "tags": [], "limits": {"max-connections": 0}},
  {"name": "imp", "password": "i", "tags": ["impersonator"]},
  {"name": "hashed", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
   "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["administrator"]}],
 "vhosts": [{"name": "/"}, {"name": "prod"},
  {"name": "small", "limits": {"max-connections": 2, "max-queues": 1}}, {"name": "shut"},
  {"name": "wide"}],
 "parameters": [
  {"component": "vhost-limits", "vhost": "shut", "name": "limits", "value": {"max-connections": 0}},
  {"component": "vhost-limits", "vhost": "wide", "name": "limits",
   "value": {"max-connections": -1, "max-queues": -1}},
  {"component": "operator_policy", "vhost": "prod", "name": "cap", "value":
   {"pattern": "^capped", "apply-to": "queues", "definition": {"max-length": 1}}}
 ],
 "permissions": [
  {"user": "app", "vhost": "prod", "configure": "^work", "write": ".*", "read": ".*"},
  {"user": "few", "vhost": "prod", "configure": "^l", "write": "^(l|amq.default$)", "read": "^l"},
  {"user": "few", "vhost": "small", "configure": ".*", "write": ".*", "read": ".*"},
  {"user": "lim", "vhost": "prod", "configure": ".*", "write": ".*", "read": ".*"},
  {"user": "lim", "vhost": "wide", "configure": ".*", "write": ".*", "read": ".*"},
  {"user": "lim", "vhost": "shut", "configure": ".*", "write": ".*", "read": ".*"},
  {"user": "free", "vhost": "prod", "configure": ".*", "write": ".*", "read": ".*"},
  {"user": "few", "vhost": "wide", "configure": ".*", "write": ".*", "read": ".*"},
  {"user": "few", "vhost": "shut", "configure": ".*", "write": ".*", "read": ".*"},
  {"user": "imp", "vhost": "prod", "configure": "", "write": "^amq.default$", "read": ""},
  {"user": "hashed", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
  {"user": "hashed", "vhost": "prod", "configure": ".*", "write": ".*", "read": ".*"}],
 "topic_permissions": [
  {"user": "few", "vhost": "prod", "exchange": "ltopic", "write": "^{username}\\.", "read": "^r$"}],
 "policies": [
  {"vhost": "prod", "name": "short", "pattern": "^work", "apply-to": "queues",
   "definition": {"max-length": 2, "dead-letter-exchange": "dead"}, "priority": 1},
  {"vhost": "prod", "name": "ae", "pattern": "^orders$", "apply-to": "exchanges",
   "definition": {"alternate-exchange": "lost"}}],
 "exchanges": [
  {"vhost": "prod", "name": "orders", "type": "topic"},
  {"vhost": "prod", "name": "dead", "type": "fanout"},
  {"vhost": "prod", "name": "lost", "type": "fanout"}],
 "queues": [
  {"vhost": "prod", "name": "work", "arguments": {"x-message-ttl": 3600000}},
  {"vhost": "prod", "name": "graveyard"},
  {"vhost": "prod", "name": "unrouted"},
  {"vhost": "prod", "name": "quorum", "arguments": {"x-queue-type": "quorum"}}],
 "bindings": [
  {"vhost": "prod", "source": "orders", "destination": "work", "destination_type": "queue",
   "routing_key": "new.#"},
  {"vhost": "prod", "source": "dead", "destination": "graveyard", "destination_type": "queue"},
  {"vhost": "prod", "source": "lost", "destination": "unrouted", "destination_type": "queue"}]}
JSON

daemon_start "$dir/data" "$dir/log" --bind 127.0.0.1 --load-definitions "$dir/definitions.json" ||
    exit 1
check "what the file says works" "$PYTHON" "$here/protocol/definitions_client.py" "$DAEMON_PORT"
check "permissions" "$PYTHON" "$here/protocol/permissions_client.py" "$DAEMON_PORT"
check "limits of users" "$PYTHON" "$here/protocol/limits_client.py" "$DAEMON_PORT"
status=0
daemon_stop || status=$?
check "SIGTERM ends it with 0" [ "$status" -eq 0 ]

daemon_start "$dir/data" "$dir/log" --bind 127.0.0.1 || exit 1
check "and after a restart without the file" \
    "$PYTHON" "$here/protocol/definitions_client.py" "$DAEMON_PORT"
daemon_stop

daemon_start "$dir/data" "$dir/log" --bind 127.0.0.1 --load-definitions "$dir/definitions.json" ||
    exit 1
check "a second import changes nothing" \
    "$PYTHON" "$here/protocol/definitions_client.py" "$DAEMON_PORT"
daemon_stop

# refused TEXT LINE: leveretd does not start, and says so in one line.
refused() {
    status=0
    "$LEVERETD" --port 0 --bind 127.0.0.1 --data-dir "$dir/data2" --log-level error \
        --load-definitions "$dir/bad.json" 2>"$dir/err" || status=$?
    check "$1: exit status" [ "$status" -eq 1 ]
    check "$1: one line" [ "$(cat "$dir/err")" = "leveretd: $2" ]
}
refused "missing file" "cannot read $dir/bad.json: No such file or directory"
echo '{"queues": [{"name": "q"}]}' >"$dir/bad.json"
refused "no vhost" "$dir/bad.json: queues[0] ('q'): 'vhost' is missing; definitions of a single \
virtual host cannot be loaded at start"
echo '{"queues": [{"name": "q", "vhost": "/", "arguments": {"x-queue-type": "odd"}}]}' >"$dir/bad.json"
refused "bad queue" "$dir/bad.json: queues[0] ('q'): invalid arg 'x-queue-type' for queue 'q' in \
vhost '/': \"unsupported queue type 'odd'\""

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
