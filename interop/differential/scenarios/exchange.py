"""Exchanges: declare, equivalence, delete, bindings between exchanges, alternate, internal."""

from registry import each, scenario

PREDECLARED = {"amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic",
               "amq.headers": "headers", "amq.match": "headers", "amq.rabbitmq.trace": "topic"}


@each("exchange/declare/type", {
    "direct": "direct", "fanout": "fanout", "topic": "topic", "headers": "headers",
    "unknown": "x-unknown", "empty": "", "upper-case": "Direct", "word-queue": "queue",
    "word-system": "system", "plugin": "x-random", "longest": "t" * 255})
def declare_type(s, kind):
    ch, x = s.channel(), s.x()
    ch.exchange(x, kind)
    ch.exchange(x, "", passive=1)


@each("exchange/declare/flags", {
    "durable": {"durable": 1}, "auto-delete": {"auto_delete": 1}, "internal": {"internal": 1},
    "all": {"durable": 1, "auto_delete": 1, "internal": 1}, "ticket": {"ticket": 77}})
def declare_flags(s, flags):
    ch, x = s.channel(), s.x()
    ch.exchange(x, **flags)
    ch.exchange(x, **flags)
    ch.exchange(x, passive=1)
    ch.exchange(x, "fanout", passive=1, durable=not flags.get("durable"))


@each("exchange/inequivalent", {
    "type": ({}, {"kind": "fanout"}), "durable": ({}, {"durable": 1}),
    "not-durable": ({"durable": 1}, {}), "auto-delete": ({}, {"auto_delete": 1}),
    "not-auto-delete": ({"auto_delete": 1}, {}), "internal": ({}, {"internal": 1}),
    "not-internal": ({"internal": 1}, {}),
    "type-and-durable": ({}, {"kind": "topic", "durable": 1, "auto_delete": 1}),
    "ae-added": ({}, {"arguments": {"alternate-exchange": "amq.fanout"}}),
    "ae-removed": ({"arguments": {"alternate-exchange": "amq.fanout"}}, {}),
    "ae-changed": ({"arguments": {"alternate-exchange": "amq.fanout"}},
                   {"arguments": {"alternate-exchange": "amq.direct"}}),
    "unknown-argument": ({}, {"arguments": {"x-whatever": 1}}),
    "unknown-argument-removed": ({"arguments": {"x-whatever": 1}}, {}),
    "type-case": ({}, {"kind": "DIRECT"}), "unknown-type": ({}, {"kind": "nonsense"})})
def inequivalent(s, how):
    ch, x = s.channel(), s.x()
    ch.exchange(x, **how[0])
    ch.exchange(x, **how[1])


@each("exchange/predeclared", {n: (n, k) for n, k in PREDECLARED.items()})
def predeclared(s, row):
    ch, (name, kind) = s.channel(), row
    ch.exchange(name, kind, passive=1)
    ch.exchange(name, kind, durable=1, internal=name == "amq.rabbitmq.trace")
    ch.exchange(name, kind)


@each("exchange/passive", {n: n for n in PREDECLARED})
def passive_predeclared(s, name):
    s.channel().exchange(name, "", passive=1)


@scenario("exchange/passive/missing")
def passive_missing(s):
    s.channel().exchange(s.x(), passive=1)


@each("exchange/reserved", {
    "new": {"name": "amq.mine"}, "new-passive": {"name": "amq.mine", "passive": 1},
    "amq-dot": {"name": "amq."}, "upper-case": {"name": "AMQ.mine", "auto_delete": 1},
    "unknown-type": {"name": "amq.mine", "kind": "nonsense"}})
def reserved(s, args):
    ch = s.channel()
    ch.exchange(**args)
    ch.call("exchange.delete", exchange=args["name"])


@each("exchange/default", {
    "declare": ("exchange.declare", {"type": "direct"}),
    "declare-durable": ("exchange.declare", {"type": "direct", "durable": 1}),
    "declare-passive": ("exchange.declare", {"type": "direct", "passive": 1}),
    "declare-unknown-type": ("exchange.declare", {"type": "nonsense"}),
    "delete": ("exchange.delete", {}),
    "delete-if-unused": ("exchange.delete", {"if_unused": 1}),
    "bind-source": ("exchange.bind", {"destination": "amq.fanout"}),
    "bind-destination": ("exchange.bind", {"source": "amq.fanout"}),
    "unbind-source": ("exchange.unbind", {"destination": "amq.fanout"}),
    "unbind-destination": ("exchange.unbind", {"source": "amq.fanout"})})
def default(s, what):
    s.channel().call(what[0], **what[1])


@each("exchange/name", {
    "crlf": "a\r\nb", "spaces": "a name with spaces", "utf-8": "\u00e9\u20ac", "quote": "it's",
    "percent": "a%s~p", "backslash": "a\\b\"c"})
def odd_name(s, name):
    ch = s.channel()
    name = s.x(name)
    ch.exchange(name)
    ch.exchange(name, "fanout")


@scenario("exchange/name/longest")
def longest_name(s):
    ch = s.channel()
    name = s.x("x" * 240)
    ch.exchange(name)
    ch.exchange(name, "fanout")


# ---- delete ----

@each("exchange/delete", {"missing": {}, "missing-if-unused": {"if_unused": 1}})
def delete_missing(s, args):
    s.channel().call("exchange.delete", exchange=s.x(), **args)


@each("exchange/delete/predeclared", {n: n for n in PREDECLARED})
def delete_predeclared(s, name):
    s.channel().call("exchange.delete", exchange=name)


@scenario("exchange/delete/then-use")
def delete_use(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x)
    ch.call("exchange.delete", exchange=x)
    ch.call("exchange.delete", exchange=x)
    ch.exchange(x, passive=1)


@scenario("exchange/delete/if-unused-without-bindings")
def delete_if_unused(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x)
    ch.call("exchange.delete", exchange=x, if_unused=1)
    ch.exchange(x, passive=1)


@scenario("exchange/delete/if-unused-with-queue")
def delete_if_unused_bound(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x)
    ch.bind(ch.declare(s.q(), exclusive=1), x)
    ch.call("exchange.delete", exchange=x, if_unused=1)


@scenario("exchange/delete/if-unused-as-destination")
def delete_if_unused_destination(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x)
    ch.call("exchange.bind", destination=x, source="amq.fanout")
    ch.call("exchange.delete", exchange=x, if_unused=1)


@scenario("exchange/delete/removes-bindings")
def delete_removes(s):
    ch, x = s.channel(), s.x()
    q = ch.declare(s.q(), exclusive=1)
    ch.exchange(x)
    ch.bind(q, x, "k")
    ch.call("exchange.delete", exchange=x)
    ch.exchange(x)
    ch.publish("k", "lost", x)
    ch.get(q)


# ---- exchange to exchange ----

@scenario("exchange/bind/routes")
def bind_routes(s):
    ch, a, b = s.channel(), s.x("a"), s.x("b")
    q = ch.declare(s.q(), exclusive=1)
    ch.exchange(a, "topic")
    ch.exchange(b, "fanout")
    for _ in range(2):
        ch.call("exchange.bind", destination=b, source=a, routing_key="k.*")
    ch.bind(q, b)
    ch.publish("k.1", "through", a)
    ch.publish("other", "not", a)
    ch.get(q)
    ch.get(q)
    for _ in range(2):
        ch.call("exchange.unbind", destination=b, source=a, routing_key="k.*")
    ch.publish("k.1", "not", a)
    ch.get(q)


@each("exchange/bind/missing", {
    "source": ("amq.fanout", "missing"), "destination": ("missing", "amq.fanout"),
    "both": ("missing-1", "missing-2")})
def bind_missing(s, ends):
    s.channel().call("exchange.bind", destination=ends[0], source=ends[1])


@each("exchange/unbind/missing", {
    "source": ("amq.fanout", "missing"), "destination": ("missing", "amq.fanout"),
    "both": ("missing-1", "missing-2"), "binding": ("amq.fanout", "amq.direct")})
def unbind_missing(s, ends):
    s.channel().call("exchange.unbind", destination=ends[0], source=ends[1], routing_key="none")


@scenario("exchange/bind/to-itself")
def bind_self(s):
    ch, x = s.channel(), s.x()
    q = ch.declare(s.q(), exclusive=1)
    ch.exchange(x, "fanout")
    ch.call("exchange.bind", destination=x, source=x)
    ch.bind(q, x)
    ch.publish("", "once", x)
    ch.get(q)
    ch.get(q)


@scenario("exchange/bind/cycle")
def bind_cycle(s):
    ch, names = s.channel(), [s.x("a"), s.x("b"), s.x("c")]
    q = ch.declare(s.q(), exclusive=1)
    for x in names:
        ch.exchange(x, "fanout")
        ch.bind(q, x)
    for i in range(3):
        ch.call("exchange.bind", destination=names[i], source=names[i - 1])
    ch.publish("", "once", names[1])
    ch.get(q)
    ch.get(q)


@scenario("exchange/bind/destination-deleted")
def bind_destination_deleted(s):
    ch, a, b = s.channel(), s.x("a"), s.x("b")
    ch.exchange(a, "fanout")
    ch.exchange(b, "fanout")
    ch.call("exchange.bind", destination=b, source=a)
    ch.call("exchange.delete", exchange=b)
    ch.publish("", "nowhere", a, mandatory=1)
    ch.expect("basic.return")
    ch.call("exchange.delete", exchange=a, if_unused=1)


# ---- alternate exchange, internal, auto-delete ----

@each("exchange/alternate/type", {
    "int": 5, "bool": True, "list": ["a"], "void": None, "binary": ("x", "amq.fanout"),
    "empty": ""})
def alternate_type(s, value):
    s.channel().exchange(s.x(), arguments={"alternate-exchange": value})


@scenario("exchange/alternate/routes")
def alternate_routes(s):
    ch, x, ae = s.channel(), s.x(), s.x("ae")
    main, other = ch.declare(s.q("main"), exclusive=1), ch.declare(s.q("other"), exclusive=1)
    ch.exchange(ae, "fanout")
    ch.exchange(x, "direct", arguments={"alternate-exchange": ae})
    ch.bind(main, x, "k")
    ch.bind(other, ae)
    ch.publish("k", "known", x, mandatory=1)
    ch.publish("z", "unknown", x, mandatory=1)
    for q in (main, other, main, other):
        ch.get(q)
    ch.fence()


@scenario("exchange/alternate/missing")
def alternate_missing(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x, arguments={"alternate-exchange": x + "-none"})
    ch.publish("k", "unroutable", x, mandatory=1)
    ch.expect("basic.return")
    ch.publish("k", "dropped", x)
    ch.fence()


@scenario("exchange/alternate/chain-and-cycle")
def alternate_chain(s):
    ch, names = s.channel(), [s.x("a"), s.x("b"), s.x("c")]
    q = ch.declare(s.q(), exclusive=1)
    for i, x in enumerate(names):
        ch.exchange(x, arguments={"alternate-exchange": names[(i + 1) % 3]})
    ch.publish("k", "in circles", names[0], mandatory=1)
    ch.expect("basic.return")
    ch.bind(q, names[2], "k")
    ch.publish("k", "third", names[0], mandatory=1)
    ch.get(q)


@scenario("exchange/internal/publish")
def internal_publish(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x, internal=1)
    ch.publish("k", "no", x)
    ch.wait("channel.close")


@scenario("exchange/internal/bound")
def internal_bound(s):
    ch, x = s.channel(), s.x()
    q = ch.declare(s.q(), exclusive=1)
    ch.exchange(x, "fanout", internal=1)
    ch.bind(q, x)
    ch.call("exchange.bind", destination=x, source="amq.direct", routing_key=q)
    ch.publish(q, "through", "amq.direct")
    ch.get(q)


@scenario("exchange/internal/as-alternate")
def internal_alternate(s):
    ch, x, ae = s.channel(), s.x(), s.x("ae")
    q = ch.declare(s.q(), exclusive=1)
    ch.exchange(ae, "fanout", internal=1)
    ch.exchange(x, arguments={"alternate-exchange": ae})
    ch.bind(q, ae)
    ch.publish("k", "through", x)
    ch.get(q)


@scenario("exchange/auto-delete/on-unbind")
def auto_delete_unbind(s):
    ch, x = s.channel(), s.x()
    q = ch.declare(s.q(), exclusive=1)
    ch.exchange(x, auto_delete=1)
    ch.bind(q, x, "a")
    ch.bind(q, x, "b")
    ch.call("queue.unbind", queue=q, exchange=x, routing_key="a")
    ch.exchange(x, auto_delete=1, passive=1)
    ch.call("queue.unbind", queue=q, exchange=x, routing_key="b")
    ch.exchange(x, auto_delete=1, passive=1)


@scenario("exchange/auto-delete/on-queue-delete")
def auto_delete_queue(s):
    ch, x = s.channel(), s.x()
    q = ch.declare(s.q(), exclusive=1)
    ch.exchange(x, auto_delete=1)
    ch.bind(q, x)
    ch.call("queue.delete", queue=q)
    ch.exchange(x, passive=1)


@scenario("exchange/auto-delete/as-destination-stays")
def auto_delete_destination(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x, auto_delete=1)
    ch.call("exchange.bind", destination=x, source="amq.fanout")
    ch.call("exchange.unbind", destination=x, source="amq.fanout")
    ch.exchange(x, passive=1)


@scenario("exchange/auto-delete/chain")
def auto_delete_chain(s):
    ch, a, b = s.channel(), s.x("a"), s.x("b")
    q = ch.declare(s.q(), exclusive=1)
    ch.exchange(a, auto_delete=1)
    ch.exchange(b, auto_delete=1)
    ch.call("exchange.bind", destination=b, source=a)
    ch.bind(q, b)
    ch.call("queue.delete", queue=q)
    one = ch.conn.channel(2)
    one.exchange(b, passive=1)
    ch.exchange(a, passive=1)
