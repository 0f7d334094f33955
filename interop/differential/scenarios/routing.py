"""Which messages reach a queue: direct, fanout, topic patterns, header matching."""

from registry import each, scenario

TOPIC_KEYS = ["", "a", "b", "a.b", "a.b.c", "b.a", ".", "a.", ".a", "..", "a..b", "a.a", "a.b.a.b",
              "a.b.c.d.e", "*", "#", "a.*", "A", "a.x.b", "a.x.y.b", "b.b", "aa", "a b", "\u00e9.b"]

TOPIC_PATTERNS = ["", "#", "*", "a", "*.*", "a.*", "*.b", "a.#", "#.b", "#.a.#", "*.#", "#.*",
    "a.*.b",
                  "a.#.b", "#.#", "*.*.*", "a*", "**", "a.**", ".", "a.", "*.", ".*", "#.b.#",
                  "*.b.#",
                  "#.a.*.b", "#.#.#", "a.b", "*.#.*", "#.a", "..", "\u00e9.*", "a.#.#.b", "A.#"]


def routed(ch, q, send, keys):
    """Publish one message for each key and record which of them the queue got."""
    ch.conn.quiet = True
    for number, key in enumerate(keys):
        send(number, key)
    ch.fence(q)
    got = []
    while len(got) <= len(keys):
        m = ch.get(q, no_ack=1)
        if m is None or m.name != "basic.get-ok":
            break
        got.append(m.body.decode())
    ch.conn.quiet = False
    return got


def show_keys(got, keys):
    return " ".join(repr(keys[int(n)]) for n in got) or "none"


@each("routing/topic", {"%02d" % i: p for i, p in enumerate(TOPIC_PATTERNS)})
def topic(s, pattern):
    ch, x = s.channel(), s.x()
    ch.exchange(x, "topic")
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x, pattern)
    got = routed(ch, q, lambda n, key: ch.publish(key, str(n), x), TOPIC_KEYS)
    ch.conn.log("= %r matches %s" % (pattern, show_keys(got, TOPIC_KEYS)))


@scenario("routing/topic/unbind-leaves-others")
def topic_unbind(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x, "topic")
    q = ch.declare(s.q(), exclusive=1)
    for pattern in ("a.#", "a.*", "a.b", "#"):
        ch.bind(q, x, pattern)
    keys = ["a", "a.b", "a.b.c", "z"]
    for pattern in ("#", "a.b", "a.#", "a.*"):
        ch.call("queue.unbind", queue=q, exchange=x, routing_key=pattern)
        got = routed(ch, q, lambda n, key: ch.publish(key, str(n), x), keys)
        ch.conn.log("= routed " + show_keys(got, keys))


@scenario("routing/topic/one-copy")
def topic_once(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x, "topic")
    q = ch.declare(s.q(), exclusive=1)
    for pattern in ("#", "a.*", "*.b", "a.b", "#.a.#"):
        ch.bind(q, x, pattern)
    ch.publish("a.b", "once", x)
    ch.get(q)
    ch.get(q)


@scenario("routing/direct")
def direct(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x)
    queues = [ch.declare(s.q("q%d" % i), exclusive=1) for i in range(3)]
    for q, keys in zip(queues, (["a", "b"], ["a"], ["", "A"])):
        for key in keys:
            ch.bind(q, x, key)
    keys = ["a", "b", "A", "", "c", "a "]
    for q in queues:
        got = routed(ch, q, lambda n, key: ch.publish(key, str(n), x), keys)
        ch.conn.log("= routed " + show_keys(got, keys))
        for other in queues:
            ch.call("queue.purge", queue=other)


@scenario("routing/fanout")
def fanout(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x, "fanout")
    queues = [ch.declare(s.q("q%d" % i), exclusive=1) for i in range(3)]
    for q in queues:
        ch.bind(q, x, "ignored")
        ch.bind(q, x, "too", {"a": 1})
    ch.publish("any", "m", x)
    for q in queues:
        ch.get(q)
        ch.get(q)


@scenario("routing/default-exchange")
def default(s):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q(), exclusive=1)
    b.publish(q, "by name", mandatory=1).fence()
    a.fence(q)
    a.get(q)
    server = a.declare("", exclusive=1)
    a.publish(server, "by generated name", mandatory=1)
    a.get(server)


MESSAGES = [
    ("none", None), ("empty", {}), ("a=1", {"a": 1}), ("a=int8 1", {"a": ("b", 1)}),
    ("a=int64 1", {"a": ("l", 1)}), ("a=uint32 1", {"a": ("i", 1)}),
    ("a='1'", {"a": "1"}), ("a=true", {"a": True}), ("a=void", {"a": None}), ("a=2", {"a": 2}),
    ("a=bytes 1", {"a": ("x", b"1")}), ("b='x'", {"b": "x"}), ("a=1 b='x'", {"a": 1, "b": "x"}),
    ("a=2 b='x'", {"a": 2, "b": "x"}), ("a=1 b='y'", {"a": 1, "b": "y"}),
    ("x-h=1", {"x-h": 1}), ("a=1 x-h=1", {"a": 1, "x-h": 1}), ("a=table", {"a": {"k": 1}}),
    ("a=list", {"a": [1]}), ("c=1", {"c": 1}), ("A=1", {"A": 1}), ("b='' ", {"b": ""}),
    ("a=1 twice", [("a", 1), ("a", 2)]), ("a=2 then 1", [("a", 2), ("a", 1)]),
    ("D", {"a": ("D", (0, 1))}), ("T", {"a": ("T", 1)})]

HEADER_BINDINGS = {
    "all-one": {"a": 1}, "all-two": {"a": 1, "b": "x"},
    "all-explicit": {"x-match": "all", "a": 1, "b": "x"},
    "any-two": {"x-match": "any", "a": 1, "b": "x"}, "any-none": {"x-match": "any"}, "all-none": {},
    "all-void": {"a": None}, "any-void": {"x-match": "any", "a": None, "c": None},
    "all-string": {"a": "1"}, "all-bool": {"a": True}, "all-int64": {"a": ("l", 1)},
    "all-int8": {"a": ("b", 1)}, "all-table": {"a": {"k": 1}}, "all-list": {"a": [1]},
    "all-x-ignored": {"a": 1, "x-h": 2}, "any-x-ignored": {"x-match": "any", "x-h": 1},
    "all-with-x": {"x-match": "all-with-x", "a": 1, "x-h": 1},
    "any-with-x": {"x-match": "any-with-x", "a": 2, "x-h": 1},
    "all-with-x-none": {"x-match": "all-with-x"},
    "empty-string": {"b": ""}, "bytes": {"a": ("x", b"1")}, "decimal": {"a": ("D", (0, 1))},
    "timestamp": {"a": ("T", 1)}, "all-x-only": {"x-h": 1}}


@each("routing/headers", HEADER_BINDINGS)
def headers(s, arguments):
    ch, x = s.channel(), s.x()
    ch.exchange(x, "headers")
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x, "ignored", arguments)

    def send(n, row):
        ch.publish("other", str(n), x, **({} if row[1] is None else {"headers": row[1]}))

    got = routed(ch, q, send, MESSAGES)
    ch.conn.log("= matches " + (" | ".join(MESSAGES[int(n)][0] for n in got) or "none"))


@scenario("routing/headers/two-bindings-one-copy")
def headers_once(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    x = s.x()
    ch.exchange(x, "headers")
    ch.bind(q, x, "", {"a": 1})
    ch.bind(q, x, "", {"x-match": "any", "a": 1, "b": 2})
    ch.publish("", "once", x, headers={"a": 1, "b": 2})
    ch.get(q)
    ch.get(q)


@scenario("routing/exchange-chain-of-types")
def chain(s):
    ch, names = s.channel(), {t: s.x(t) for t in ("topic", "headers", "direct", "fanout")}
    q = ch.declare(s.q(), exclusive=1)
    for kind, x in names.items():
        ch.exchange(x, kind)
    ch.call("exchange.bind", destination=names["headers"], source=names["topic"], routing_key="a.#")
    ch.call("exchange.bind", destination=names["direct"], source=names["headers"],
        arguments={"h": 1})
    ch.call("exchange.bind", destination=names["fanout"], source=names["direct"], routing_key="a.b")
    ch.bind(q, names["fanout"])
    rows = [("a.b", {"h": 1}), ("a.c", {"h": 1}), ("a.b", {"h": 2}), ("b", {"h": 1})]
    got = routed(ch, q, lambda n, r: ch.publish(r[0], str(n), names["topic"], headers=r[1]), rows)
    ch.conn.log("= routed " + show_keys(got, rows))


@scenario("routing/message-count-in-get-ok")
def counts(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    for i in range(3):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    for _ in range(3):
        ch.get(q)
