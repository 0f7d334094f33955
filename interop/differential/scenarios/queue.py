"""Queues: declare, equivalence, exclusivity, names, purge, delete, bindings."""

from registry import each, scenario


@each("queue/declare", {
    "plain": {}, "durable": {"durable": 1}, "auto-delete": {"auto_delete": 1},
    "exclusive": {"exclusive": 1}, "durable-exclusive": {"durable": 1, "exclusive": 1},
    "all": {"durable": 1, "exclusive": 1, "auto_delete": 1}, "ticket": {"ticket": 9}})
def declare(s, flags):
    ch, q = s.channel(), s.q()
    ch.declare(q, **flags)
    ch.declare(q, **flags)
    ch.declare(q, passive=1)
    ch.declare(q, passive=1, durable=not flags.get("durable"),
        auto_delete=not flags.get("auto_delete"))


@each("queue/inequivalent", {
    "durable": ({}, {"durable": 1}), "not-durable": ({"durable": 1}, {}),
    "auto-delete": ({}, {"auto_delete": 1}), "not-auto-delete": ({"auto_delete": 1}, {}),
    "exclusive": ({}, {"exclusive": 1}), "not-exclusive": ({"exclusive": 1}, {}),
    "durable-and-auto-delete": ({}, {"durable": 1, "auto_delete": 1}),
    "durable-exclusive": ({"durable": 1, "exclusive": 1}, {"exclusive": 1})})
def inequivalent(s, how):
    ch, q = s.channel(), s.q()
    ch.declare(q, **how[0])
    ch.declare(q, **how[1])


@scenario("queue/passive/missing")
def passive_missing(s):
    s.channel().declare(s.q(), passive=1)


@scenario("queue/passive/empty-name")
def passive_empty(s):
    s.channel().declare("", passive=1)


@scenario("queue/passive/empty-name-after-declare")
def passive_empty_after(s):
    ch = s.channel()
    ch.declare(s.q(), exclusive=1)
    ch.declare("", passive=1)


@scenario("queue/passive/counts")
def passive_counts(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    for i in range(3):
        ch.publish(q, "m")
    ch.fence(q)
    ch.get(q)
    ch.declare(q, passive=1)
    ch.declare(q, exclusive=1)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    ch.deliver()
    ch.declare(q, passive=1)


# ---- names ----

@each("queue/reserved", {
    "new": {"queue": "amq.mine"}, "passive": {"queue": "amq.mine", "passive": 1},
    "gen": {"queue": "amq.gen-mine"}, "amq-dot": {"queue": "amq."},
    "exclusive": {"queue": "amq.mine", "exclusive": 1}})
def reserved(s, args):
    ch = s.channel()
    ch.declare(**args)


@each("queue/name", {
    "crlf": "a\r\nb", "spaces": "with  spaces ", "utf-8": "\u00e9\u20ac\U0001f600", "quote": "it's",
    "format": "a%s~p~", "backslash": "a\\b\"c", "nul": "a\0b", "upper-amq": "AMQ.q",
    "longest": "q" * 240})
def odd_name(s, name):
    ch, q = s.channel(), s.q(name)
    ch.declare(q)
    ch.declare(q, durable=1)


@scenario("queue/server-named")
def server_named(s):
    ch = s.channel()
    q = ch.declare("", exclusive=1)
    ch.declare(q, passive=1)
    ch.publish(q, "m")
    ch.get("")
    ch.conn.log("= name of %d" % len(q))
    ch.declare(q, exclusive=1)


@scenario("queue/server-named/two-differ")
def server_named_two(s):
    ch = s.channel()
    a, b = ch.declare("", exclusive=1), ch.declare("", exclusive=1)
    ch.declare(a, passive=1)
    ch.declare(b, passive=1)


@each("queue/last-declared/none", {n: n for n in (
    "basic.get", "basic.consume", "queue.purge", "queue.delete", "queue.bind", "queue.unbind")})
def last_none(s, name):
    s.channel().call(name, **{"exchange": "amq.direct"} if name.endswith("bind") else {})


@scenario("queue/last-declared/used")
def last_used(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    ch.call("queue.bind", exchange="amq.direct")
    ch.publish(q, "by name", "amq.direct")
    ch.get("")
    ch.call("queue.bind", exchange="amq.direct", routing_key=q + "-key")
    ch.publish(q + "-key", "by key", "amq.direct")
    ch.get("")
    ch.call("queue.purge")
    ch.consume("", "c")
    ch.call("basic.cancel", consumer_tag="c")
    ch.call("queue.unbind", exchange="amq.direct")
    ch.publish(q, "gone", "amq.direct", mandatory=1)
    ch.expect("basic.return")
    ch.call("queue.delete")
    ch.call("queue.delete")
    ch.get("")


@scenario("queue/last-declared/named-queue-keeps-empty-key")
def last_named(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, "amq.direct", "")
    ch.publish(q, "no", "amq.direct", mandatory=1)
    ch.expect("basic.return")
    ch.call("queue.unbind", queue=q, exchange="amq.direct")


@scenario("queue/last-declared/by-passive")
def last_passive(s):
    ch = s.channel()
    a, b = ch.declare(s.q("a"), exclusive=1), ch.declare(s.q("b"), exclusive=1)
    ch.publish(a, "a")
    ch.publish(b, "b").fence(a)
    ch.declare(a, passive=1)
    ch.get("")


@scenario("queue/last-declared/is-per-channel")
def last_per_channel(s):
    ch = s.channel()
    ch.declare(s.q(), exclusive=1)
    ch.conn.channel(2).get("")


@scenario("queue/last-declared/failed-declare")
def last_failed(s):
    ch = s.channel()
    ch.declare(s.q(), passive=1)
    ch.over = False
    ch.call("channel.open")
    ch.get("")


# ---- exclusive ----

@each("queue/exclusive/from-another-connection", {
    "declare": ("queue.declare", {"exclusive": 1}), "declare-shared": ("queue.declare", {}),
    "passive": ("queue.declare", {"passive": 1}),
    "bind": ("queue.bind", {"exchange": "amq.direct"}),
    "bind-missing-exchange": ("queue.bind", {"exchange": "missing"}),
    "unbind": ("queue.unbind", {"exchange": "amq.direct"}), "purge": ("queue.purge", {}),
    "delete": ("queue.delete", {}), "delete-if-unused": ("queue.delete", {"if_unused": 1}),
    "get": ("basic.get", {}), "consume": ("basic.consume", {})})
def exclusive_other(s, what):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q(), exclusive=1)
    b.call(what[0], queue=q, **what[1])


@scenario("queue/exclusive/publish-from-another-connection")
def exclusive_publish(s):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q(), exclusive=1)
    a.consume(q, "c", no_ack=1)
    b.publish(q, "in", mandatory=1)
    a.deliver()
    b.fence()


@scenario("queue/exclusive/another-channel-same-connection")
def exclusive_same(s):
    a = s.channel()
    b = a.conn.channel(2)
    q = a.declare(s.q(), exclusive=1)
    b.declare(q, exclusive=1)
    b.get(q)
    a.close()
    b.declare(q, passive=1)


@scenario("queue/exclusive/gone-after-close")
def exclusive_gone(s):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q(), exclusive=1, durable=1)
    a.publish(q, "m")
    a.fence(q)
    a.conn.call("connection.close", reply_code=200)
    b.declare(q, passive=1)


@scenario("queue/exclusive/redeclare-after-close")
def exclusive_redeclare(s):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q(), exclusive=1)
    a.conn.call("connection.close", reply_code=200)
    b.declare(q, exclusive=1)


@scenario("queue/exclusive/bindings-gone-after-close")
def exclusive_bindings(s):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q(), exclusive=1)
    a.bind(q, "amq.direct", q)
    b.publish(q, "there", "amq.direct", mandatory=1)
    b.fence(note="routed")
    a.conn.call("connection.close", reply_code=200)
    b.publish(q, "not", "amq.direct", mandatory=1)
    b.expect("basic.return")


# ---- purge and delete ----

@scenario("queue/purge")
def purge(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    for i in range(5):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    ch.get(q)
    ch.call("queue.purge", queue=q)
    ch.call("queue.purge", queue=q)
    ch.send("basic.nack", delivery_tag=1, requeue=1)
    ch.get(q)


@scenario("queue/purge/missing")
def purge_missing(s):
    s.channel().call("queue.purge", queue=s.q())


@each("queue/delete/missing", {"plain": {}, "if-unused": {"if_unused": 1},
        "if-empty": {"if_empty": 1}})
def delete_missing(s, args):
    s.channel().call("queue.delete", queue=s.q(), **args)


@each("queue/delete/if", {
    "unused-with-consumer": (0, 1, {"if_unused": 1}), "unused": (2, 0, {"if_unused": 1}),
    "empty-with-messages": (2, 0, {"if_empty": 1}), "empty": (0, 1, {"if_empty": 1}),
    "both-with-both": (2, 1, {"if_unused": 1, "if_empty": 1}),
    "both-with-messages": (2, 0, {"if_unused": 1, "if_empty": 1}), "neither": (2, 0, {}),
    "neither-with-consumer": (0, 1, {})})
def delete_if(s, how):
    ch = s.connect(properties={}).channel(1)
    q = ch.declare(s.q())
    if how[1]:
        ch.consume(q, "c", no_ack=1)
    for _ in range(how[0]):
        ch.publish(q, "m")
        if how[1]:
            ch.deliver()
    ch.fence(q)
    ch.call("queue.delete", queue=q, **how[2])
    ch.declare(q, passive=1)


@scenario("queue/delete/if-empty-with-unacked")
def delete_if_empty_unacked(s):
    ch = s.channel()
    q = ch.declare(s.q())
    ch.publish(q, "m")
    ch.fence(q)
    ch.get(q)
    ch.call("queue.delete", queue=q, if_empty=1)
    ch.send("basic.ack", delivery_tag=1)
    ch.fence()
    ch.declare(q, passive=1)


@scenario("queue/delete/then-redeclare-is-empty")
def delete_redeclare(s):
    ch = s.channel()
    q = ch.declare(s.q(), durable=1)
    ch.bind(q, "amq.direct", q)
    ch.publish(q, "m", delivery_mode=2)
    ch.fence(q)
    ch.call("queue.delete", queue=q)
    ch.declare(q)
    ch.publish(q, "unbound", "amq.direct", mandatory=1)
    ch.expect("basic.return")


# ---- bindings ----

@each("queue/bind/errors", {
    "no-queue": ("missing", "amq.direct"), "no-exchange": (None, "missing"),
    "neither": ("missing", "missing"), "default-exchange": (None, ""),
    "default-exchange-no-queue": ("missing", "")})
def bind_errors(s, ends):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(ends[0] or q, ends[1], "k")


@each("queue/unbind/lenient", {
    "no-queue": ("missing", "amq.direct"), "no-exchange": (None, "missing"),
    "neither": ("missing", "missing"), "no-binding": (None, "amq.direct"),
    "default-exchange": (None, "")})
def unbind_lenient(s, ends):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    ch.call("queue.unbind", queue=ends[0] or q, exchange=ends[1], routing_key="k")


@scenario("queue/bind/idempotent")
def bind_twice(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    for _ in range(2):
        ch.bind(q, "amq.direct", q)
    ch.publish(q, "once", "amq.direct")
    ch.get(q)
    ch.get(q)
    ch.call("queue.unbind", queue=q, exchange="amq.direct", routing_key=q)
    ch.publish(q, "none", "amq.direct", mandatory=1)
    ch.expect("basic.return")


@scenario("queue/bind/arguments-are-identity")
def bind_identity(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    for args in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
        ch.bind(q, "amq.direct", q, args)
    ch.call("queue.unbind", queue=q, exchange="amq.direct", routing_key=q)
    ch.publish(q, "still bound", "amq.direct")
    ch.get(q)
    ch.call("queue.unbind", queue=q, exchange="amq.direct", routing_key=q,
        arguments={"b": 2, "a": 1})
    ch.publish(q, "unbound", "amq.direct", mandatory=1)
    ch.expect("basic.return")


@scenario("queue/bind/argument-types-are-identity")
def bind_types(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, "amq.direct", q, {"a": 1})
    ch.bind(q, "amq.direct", q, {"a": ("l", 1)})
    ch.call("queue.unbind", queue=q, exchange="amq.direct", routing_key=q, arguments={"a": 1})
    ch.publish(q, "by the other", "amq.direct")
    ch.get(q)
    ch.call("queue.unbind", queue=q, exchange="amq.direct", routing_key=q,
        arguments={"a": ("l", 1)})
    ch.publish(q, "unbound", "amq.direct", mandatory=1)
    ch.expect("basic.return")


# ---- auto-delete ----

@scenario("queue/auto-delete/on-cancel")
def auto_delete_cancel(s):
    ch = s.channel()
    q = ch.declare(s.q(), auto_delete=1)
    ch.consume(q, "a")
    ch.consume(q, "b")
    ch.call("basic.cancel", consumer_tag="a")
    ch.declare(q, passive=1)
    ch.call("basic.cancel", consumer_tag="b")
    ch.declare(q, passive=1)


@scenario("queue/auto-delete/on-channel-close")
def auto_delete_channel(s):
    ch = s.channel()
    two = ch.conn.channel(2)
    q = ch.declare(s.q(), auto_delete=1)
    two.consume(q, "c")
    two.close()
    ch.until_gone(q)
    ch.declare(q, passive=1)


@scenario("queue/auto-delete/on-connection-close")
def auto_delete_connection(s):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q(), auto_delete=1)
    a.consume(q, "c")
    a.conn.call("connection.close", reply_code=200)
    b.until_gone(q)
    b.declare(q, passive=1)


@scenario("queue/auto-delete/unconsumed-stays")
def auto_delete_never(s):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q(), auto_delete=1)
    a.publish(q, "m")
    a.fence(q)
    a.get(q)
    a.conn.call("connection.close", reply_code=200)
    b.declare(q, passive=1)


@scenario("queue/auto-delete/with-unacked")
def auto_delete_unacked(s):
    ch = s.channel()
    q = ch.declare(s.q(), auto_delete=1)
    ch.publish(q, "m")
    ch.consume(q, "c")
    ch.deliver()
    ch.call("basic.cancel", consumer_tag="c")
    ch.send("basic.ack", delivery_tag=1)
    ch.fence()
    ch.declare(q, passive=1)
