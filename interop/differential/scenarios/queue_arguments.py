"""Queue, consumer and binding arguments: types, values, equivalence, what a queue type accepts."""

from registry import each, scenario

TOO_LARGE = ("l", 315360000001)
BIG = ("l", 2**62)

TYPES = {"string": "x", "int": 5, "negative": -1, "zero": 0, "float": 1.5, "bool": True,
    "void": None,
         "table": {"a": 1}, "list": [1], "binary": ("x", "ab"), "timestamp": ("T", 5),
         "int8": ("b", 5),
         "uint8": ("B", 5), "int16": ("s", 5), "uint16": ("u", 5), "uint32": ("i", 5),
         "int64": ("l", 5),
         "decimal": ("D", (0, 5)), "float32": ("f", 2.0), "too-large": TOO_LARGE, "int64-max": BIG}

SOME_TYPES = ["string", "int", "negative", "zero", "bool", "void", "float"]


def _args(s, arguments, **flags):
    """Declare with arguments, then again the same, then passively."""
    ch, q = s.channel(), s.q()
    ch.declare(q, arguments=arguments, **flags)
    ch.declare(q, arguments=arguments, **flags)
    ch.declare(q, passive=1)


@each("queue/arguments/x-message-ttl", TYPES)
def message_ttl(s, v):
    _args(s, {"x-message-ttl": v})


@each("queue/arguments/x-max-priority", dict(TYPES, p255=255, p256=256))
def max_priority(s, v):
    _args(s, {"x-max-priority": v})


@each("queue/arguments", {name + "/" + t: {name: TYPES[t]} for name in (
    "x-max-length", "x-max-length-bytes", "x-dead-letter-exchange", "x-single-active-consumer",
    "x-overflow", "x-queue-type", "x-queue-mode", "x-queue-version") for t in SOME_TYPES})
def by_type(s, arguments):
    _args(s, arguments)


@each("queue/arguments/x-expires", {
    "string": "x", "int": 600000, "negative": -1, "zero": 0, "float": 1.5, "bool": True,
    "void": None,
    "table": {"a": 1}, "timestamp": ("T", 600000), "uint32": ("i", 600000), "int64": ("l", 600000),
    "too-large": TOO_LARGE, "int64-max": BIG})
def expires(s, v):
    _args(s, {"x-expires": v})


@each("queue/arguments/values", {
    "ttl-max": {"x-message-ttl": ("l", 315360000000)},
    "expires-max": {"x-expires": ("l", 315360000000)},
    "overflow-drop-head": {"x-overflow": "drop-head"},
    "overflow-reject": {"x-overflow": "reject-publish"},
    "overflow-reject-dlx": {"x-overflow": "reject-publish-dlx"},
    "overflow-case": {"x-overflow": "Drop-Head"}, "overflow-empty": {"x-overflow": ""},
    "type-classic": {"x-queue-type": "classic"}, "type-empty": {"x-queue-type": ""},
    "type-case": {"x-queue-type": "Classic"},
    "mode-default": {"x-queue-mode": "default"}, "mode-lazy": {"x-queue-mode": "lazy"},
    "version-1": {"x-queue-version": 1}, "version-2": {"x-queue-version": 2},
    "version-3": {"x-queue-version": 3},
    "locator": {"x-queue-master-locator": "client-local"},
    "locator-min": {"x-queue-master-locator": "min-masters"},
    "sac-false": {"x-single-active-consumer": False},
    "dlx": {"x-dead-letter-exchange": "amq.fanout"},
    "dlx-missing": {"x-dead-letter-exchange": "no-such-exchange"},
    "dlx-empty": {"x-dead-letter-exchange": ""},
    "dlx-and-key": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "k"},
    "key-without-dlx": {"x-dead-letter-routing-key": "k"},
    "key-int": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": 5},
    "key-int-without-dlx": {"x-dead-letter-routing-key": 5},
    "unknown": {"x-nobody-knows": 1}, "unknown-string": {"whatever": "x"},
    "consumer-timeout": {"x-consumer-timeout": 60000},
    "two-wrong": {"x-message-ttl": -1, "x-max-length": -1},
    "two-wrong-swapped": {"x-max-length": -1, "x-message-ttl": -1},
    "many-right": {"x-message-ttl": 60000, "x-max-length": 10, "x-max-length-bytes": 10000,
                   "x-overflow": "drop-head", "x-max-priority": 3},
    "repeated-key": [("x-max-length", 1), ("x-max-length", 2)],
    "repeated-wrong-second": [("x-max-length", 1), ("x-max-length", -2)]})
def values(s, arguments):
    _args(s, arguments)


@each("queue/arguments/of-other-types", {n: {n: v} for n, v in {
    "x-delivery-limit": 5, "x-quorum-initial-group-size": 1, "x-max-in-memory-length": 1,
    "x-max-in-memory-bytes": 1, "x-dead-letter-strategy": "at-most-once", "x-max-age": "1h",
    "x-stream-max-segment-size-bytes": 1000000, "x-initial-cluster-size": 1,
    "x-queue-leader-locator": "balanced", "x-stream-filter-size-bytes": 32}.items()})
def of_other_types(s, arguments):
    s.channel().declare(s.q(), arguments=arguments)


@each("queue/arguments/equivalence", {
    "ttl-added": ({}, {"x-message-ttl": 1000}), "ttl-removed": ({"x-message-ttl": 1000}, {}),
    "ttl-changed": ({"x-message-ttl": 1000}, {"x-message-ttl": 2000}),
    "ttl-width": ({"x-message-ttl": 1000}, {"x-message-ttl": ("l", 1000)}),
    "ttl-width-8": ({"x-max-length": 100}, {"x-max-length": ("b", 100)}),
    "ttl-width-and-value": ({"x-message-ttl": 1000}, {"x-message-ttl": ("l", 1001)}),
    "expires": ({"x-expires": 60000}, {"x-expires": 60001}),
    "expires-added": ({}, {"x-expires": 60000}),
    "max-length": ({"x-max-length": 5}, {"x-max-length": 6}),
    "max-length-bytes": ({"x-max-length-bytes": 5}, {}),
    "max-priority": ({"x-max-priority": 5}, {"x-max-priority": 6}),
    "max-priority-added": ({}, {"x-max-priority": 6}),
    "overflow": ({"x-overflow": "drop-head"}, {"x-overflow": "reject-publish"}),
    "overflow-default": ({}, {"x-overflow": "drop-head"}),
    "dlx": ({"x-dead-letter-exchange": "a"}, {"x-dead-letter-exchange": "b"}),
    "dlx-added": ({}, {"x-dead-letter-exchange": "b"}),
    "dlrk": ({"x-dead-letter-exchange": "a", "x-dead-letter-routing-key": "k"},
             {"x-dead-letter-exchange": "a", "x-dead-letter-routing-key": "l"}),
    "mode": ({}, {"x-queue-mode": "lazy"}), "mode-default": ({}, {"x-queue-mode": "default"}),
    "version": ({"x-queue-version": 1}, {"x-queue-version": 2}),
    "sac": ({}, {"x-single-active-consumer": True}),
    "sac-false": ({}, {"x-single-active-consumer": False}),
    "sac-removed": ({"x-single-active-consumer": True}, {}),
    "type-classic": ({}, {"x-queue-type": "classic"}),
    "type-classic-removed": ({"x-queue-type": "classic"}, {}),
    "unknown-added": ({}, {"x-mine": 1}), "unknown-changed": ({"x-mine": 1}, {"x-mine": 2}),
    "order": ({"x-max-length": 5, "x-message-ttl": 9000},
        {"x-message-ttl": 9000, "x-max-length": 5}),
    "two-differ": ({}, {"x-max-length": 5, "x-message-ttl": 9000}),
    "invalid-on-existing": ({}, {"x-message-ttl": -1}),
    "master-locator": ({}, {"x-queue-master-locator": "min-masters"})})
def equivalence(s, how):
    ch, q = s.channel(), s.q()
    ch.declare(q, arguments=how[0])
    ch.declare(q, arguments=how[1])


@scenario("queue/arguments/property-before-argument")
def property_first(s):
    ch, q = s.channel(), s.q()
    ch.declare(q)
    ch.declare(q, durable=1, arguments={"x-max-length": 5})


# ---- quorum queues and streams: only what is refused before one exists ----

@each("queue/quorum", {
    "not-durable": ({}, {}), "exclusive": ({"durable": 1, "exclusive": 1}, {}),
    "auto-delete": ({"durable": 1, "auto_delete": 1}, {}),
    "max-priority": ({"durable": 1}, {"x-max-priority": 5}),
    "queue-mode": ({"durable": 1}, {"x-queue-mode": "lazy"}),
    "max-age": ({"durable": 1}, {"x-max-age": "1h"}),
    "bad-ttl": ({"durable": 1}, {"x-message-ttl": -1}),
    "bad-group-size": ({"durable": 1}, {"x-quorum-initial-group-size": 0}),
    "bad-strategy": ({"durable": 1}, {"x-dead-letter-strategy": "sometimes"})})
def quorum(s, how):
    s.channel().declare(s.q(), arguments=dict(how[1], **{"x-queue-type": "quorum"}), **how[0])


@scenario("queue/quorum/server-named")
def quorum_server_named(s):
    s.channel().declare("", durable=1, arguments={"x-queue-type": "quorum"})


@each("queue/stream", {
    "not-durable": ({}, {}), "exclusive": ({"durable": 1, "exclusive": 1}, {}),
    "auto-delete": ({"durable": 1, "auto_delete": 1}, {}),
    "message-ttl": ({"durable": 1}, {"x-message-ttl": 5}),
    "max-length": ({"durable": 1}, {"x-max-length": 5}),
    "bad-max-age": ({"durable": 1}, {"x-max-age": "1x"}),
    "dead-letter": ({"durable": 1}, {"x-dead-letter-exchange": "a"})})
def stream(s, how):
    s.channel().declare(s.q(), arguments=dict(how[1], **{"x-queue-type": "stream"}), **how[0])


# ---- consumer arguments ----

@each("consumer/arguments", {
    "priority": {"x-priority": 5}, "priority-negative": {"x-priority": -5},
    "priority-int64": {"x-priority": ("l", 2**40)}, "priority-string": {"x-priority": "5"},
    "priority-bool": {"x-priority": True}, "priority-float": {"x-priority": 1.5},
    "priority-void": {"x-priority": None}, "stream-offset": {"x-stream-offset": "first"},
    "cancel-on-ha-failover": {"x-cancel-on-ha-failover": True}, "unknown": {"x-nobody-knows": 1}})
def consumer_arguments(s, arguments):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    ch.consume(q, "c", arguments=arguments)


# ---- binding arguments of a headers exchange ----

@each("queue/bind/x-match", {
    "unknown": {"x-match": "some"}, "int": {"x-match": 5}, "empty": {"x-match": ""},
    "bool": {"x-match": True}, "all": {"x-match": "all"}, "any": {"x-match": "any"},
    "all-with-x": {"x-match": "all-with-x"}, "any-with-x": {"x-match": "any-with-x"},
    "upper-case": {"x-match": "ALL"}, "void": {"x-match": None}, "absent": {}})
def x_match(s, arguments):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    x = s.x()
    ch.exchange(x, "headers")
    ch.bind(q, x, "", arguments)


@scenario("queue/bind/x-match-elsewhere")
def x_match_elsewhere(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, "amq.direct", "", {"x-match": "some"})
