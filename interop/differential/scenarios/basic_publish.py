"""Publishing: content that must come back unchanged, returns, content that is refused."""

import amqp
from registry import each, scenario

ALL_PROPERTIES = {
    "content_type": "text/plain", "content_encoding": "utf-8", "headers": {"h": "v"},
    "delivery_mode": 2, "priority": 7, "correlation_id": "corr", "reply_to": "reply",
    "expiration": "600000", "message_id": "mid", "timestamp": 1700000000, "type": "kind",
    "user_id": "guest", "app_id": "app", "cluster_id": "cluster"}

HEADERS = {
    "S": "text", "S-empty": "", "S-binary": ("S", b"\0\xff\xfe"), "S-long": "x" * 5000, "I": -5,
    "I-max": 2**31 - 1, "D": ("D", (2, 314)), "D-max": ("D", (255, 2**32 - 1)),
    "T": ("T", 1700000000),
    "T-max": ("T", 2**64 - 1), "F": {"a": 1, "b": {"c": "d"}}, "F-empty": {}, "A": [1, "x", [True]],
    "A-empty": [], "b": ("b", -128), "B": ("B", 255), "s": ("s", -32768), "u": ("u", 65535),
    "i": ("i", 2**32 - 1), "l": ("l", -2**63), "L": ("L", 2**40), "f": ("f", 1.5), "d": 3.14159,
    "d-negative": -0.0, "t": True, "t-false": False, "x": ("x", b"\0\1\2"), "x-empty": ("x", b""),
    "V": None, "t-two": ("t", 2)}


def queue(s, **args):
    ch = s.channel(**args)
    return ch, ch.declare(s.q(), exclusive=1)


@each("publish/property", dict({n: {n: v} for n, v in ALL_PROPERTIES.items()},
                               none={}, all=ALL_PROPERTIES, zeroes={
    "priority": 0, "timestamp": 0, "content_type": "", "headers": {}},
    largest={"priority": 255, "timestamp": 2**64 - 1, "message_id": "m" * 255},
    reply_to_binary={"reply_to": b"\xff\0\xfe", "app_id": b"\x80"}))
def properties(s, props):
    ch, q = queue(s)
    ch.publish(q, "body", **props)
    ch.get(q)


@each("publish/delivery-mode", {"0": 0, "1": 1, "3": 3, "255": 255})
def delivery_mode(s, mode):
    ch, q = queue(s)
    ch.publish(q, "body", delivery_mode=mode)
    ch.get(q)


@each("publish/header", HEADERS)
def headers(s, value):
    ch, q = queue(s)
    ch.publish(q, "body", headers={"key": value})
    ch.get(q)


@each("publish/headers", {
    "order": {"z": 1, "a": 2, "m": 3}, "repeated": [("k", 1), ("k", 2)], "empty-key": {"": 1},
    "utf-8-key": {"cl\u00e9": "\u00e9"}, "longest-key": {"k" * 255: 1},
    "many": {"k%03d" % i: i for i in range(200)},
    "deep": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": [[[[1]]]]}}}}}}}}})
def header_tables(s, table):
    ch, q = queue(s)
    ch.publish(q, "body", headers=table)
    ch.get(q)


BODY = bytes(i * 7 % 251 for i in range(300000))

@each("publish/body", {
    "0": 0, "1": 1, "frame-max-less-9": 131063, "frame-max-less-8": 131064,
    "frame-max-less-7": 131065,
    "two-frames": 262128, "three-frames": 262129, "300000": 300000})
def body_sizes(s, size):
    ch, q = queue(s)
    ch.publish(q, BODY[:size])
    ch.get(q)


@each("publish/body-4096", {"4088": 4088, "4089": 4089, "20000": 20000})
def body_small_frames(s, size):
    a, b = s.channel(), s.channel(frame_max=4096)
    q = a.declare(s.q())
    a.publish(q, BODY[:size])
    a.fence(q)
    b.get(q, no_ack=1)


@scenario("publish/binary-key")
def binary_key(s):
    ch, q = queue(s)
    x = s.x()
    ch.exchange(x, "fanout")
    ch.bind(q, x)
    ch.publish(b"\0\xff" + b"k" * 253, "x", x)
    ch.get(q)


@scenario("publish/header-and-body-apart")
def apart(s):
    ch, q = queue(s)
    ch.send("basic.publish", routing_key=q, ticket=5)
    ch.conn.send_frame(2, 1, amqp.header(6, {"type": "t"}), "header 6")
    for part in (b"ab", b"cd", b"ef"):
        ch.conn.send_frame(3, 1, part, "body")
    ch.get(q)


# ---- returns ----

@each("publish/mandatory", {t: t for t in ("default", "direct", "fanout", "topic", "headers")})
def mandatory(s, kind):
    ch = s.channel()
    x = "" if kind == "default" else s.x()
    if x:
        ch.exchange(x, kind)
    ch.publish("no-such-key", "back", x, mandatory=1, **ALL_PROPERTIES)
    ch.expect("basic.return")
    ch.fence()


@each("publish/mandatory-body", {"empty": 0, "two-frames": 200000})
def mandatory_body(s, size):
    ch = s.channel()
    ch.publish("no-such-key", BODY[:size], mandatory=1)
    ch.expect("basic.return")


@scenario("publish/mandatory-routed")
def mandatory_routed(s):
    ch, q = queue(s)
    ch.publish(q, "in", mandatory=1)
    ch.fence(q)
    ch.get(q)


@scenario("publish/not-mandatory-unroutable")
def unroutable(s):
    ch = s.channel()
    ch.publish("no-such-key", "dropped")
    ch.fence()


@scenario("publish/immediate")
def immediate(s):
    ch, q = queue(s)
    ch.publish(q, "now", immediate=1)
    ch.conn.closed()


# ---- refusals ----

@each("publish/missing-exchange", {"plain": {}, "mandatory": {"mandatory": 1}})
def missing_exchange(s, flags):
    ch = s.channel()
    ch.publish("k", "x", s.x(), **flags)
    ch.wait("channel.close")


@scenario("publish/missing-exchange-then-more")
def missing_then_more(s):
    ch, q = queue(s)
    ch.publish("k", "x", s.x())
    ch.publish(q, "ignored")
    ch.wait("channel.close")
    ch.conn.channel(2).get(q)


@each("publish/expiration", {
    "letters": "abc", "negative": "-1", "trailing-space": "10 ", "leading-space": " 10",
    "empty": "",
    "too-large": "315360000001", "huge": "9" * 30, "float": "1.5", "plus": "+600000", "hex": "0x10",
    "trailing-letters": "600000ms", "nul": "1\0", "largest": "315360000000", "zeroes": "000600000",
    "zero-unrouted": "0", "binary": b"\xff"})
def expiration(s, text):
    ch = s.channel()
    ch.publish("no-such-key", "x", expiration=text)
    if not ch.fence().over:
        q = ch.declare(s.q(), exclusive=1)
        if text != "0":
            ch.publish(q, "kept", expiration=text)
            ch.get(q)


@each("publish/user-id", {"other": "foo", "empty": "", "case": "Guest", "binary": b"\xff",
        "own": "guest"})
def user_id(s, user):
    ch, q = queue(s)
    ch.publish(q, "x", user_id=user)
    ch.fence(q)
    ch.get(q)


@each("publish/cc", {
    "string": {"CC": "q"}, "int": {"CC": 1}, "void": {"CC": None}, "table": {"CC": {}},
    "bcc-string": {"BCC": "q"}, "bcc-int": {"BCC": 5}, "bcc-void": {"BCC": None},
    "both-wrong": {"BCC": 5, "CC": 6}, "lower-case": {"cc": 5}, "empty": {"CC": [], "BCC": []},
    "not-strings": {"CC": [1, True, None]}})
def cc_types(s, table):
    ch, q = queue(s)
    ch.publish(q, "x", headers=table)
    ch.fence(q)
    ch.get(q)


@scenario("publish/cc/routes")
def cc_routes(s):
    ch = s.channel()
    names = [ch.declare(s.q(n), exclusive=1) for n in ("main", "cc", "bcc")]
    ch.publish(names[0], "x", headers={"CC": [names[1], "no-such-key"], "BCC": [names[2]],
            "other": 1})
    for q in names:
        ch.get(q)


@scenario("publish/cc/only-bcc-leaves-headers")
def bcc_only(s):
    ch = s.channel()
    a, b = ch.declare(s.q("a"), exclusive=1), ch.declare(s.q("b"), exclusive=1)
    ch.publish(a, "x", headers={"BCC": [b]})
    ch.get(a)
    ch.get(b)


@scenario("publish/cc/one-copy")
def cc_once(s):
    ch, q = queue(s)
    ch.publish(q, "x", headers={"CC": [q, q], "BCC": [q]})
    ch.get(q)
    ch.get(q)


@scenario("publish/cc/through-direct-and-topic")
def cc_exchanges(s):
    ch, q = queue(s)
    for x in ("amq.direct", "amq.topic"):
        ch.bind(q, x, q + ".cc")
        ch.publish("other", x, x, headers={"CC": [q + ".cc"]}, mandatory=1)
        ch.get(q)


@scenario("publish/order-of-checks/expiration-before-user-id")
def order_expiration_user(s):
    ch, q = queue(s)
    ch.publish(q, "x", expiration="bad", user_id="foo")
    ch.fence()


@scenario("publish/order-of-checks/exchange-before-expiration")
def order_exchange_expiration(s):
    ch = s.channel()
    ch.publish("k", "x", s.x(), expiration="bad")
    ch.fence()


@scenario("publish/order-of-checks/cc-before-user-id")
def order_cc_user(s):
    ch, q = queue(s)
    ch.publish(q, "x", headers={"CC": 5}, user_id="foo")
    ch.fence()


@scenario("publish/order-of-checks/expiration-before-cc")
def order_expiration_cc(s):
    ch, q = queue(s)
    ch.publish(q, "x", headers={"CC": 5}, expiration="bad")
    ch.fence()


# ---- direct reply-to ----

REPLY_TO = "amq.rabbitmq.reply-to"


@scenario("reply-to/round-trip")
def reply_round_trip(s):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q())
    a.consume(REPLY_TO, "r", no_ack=1)
    a.publish(q, "question", reply_to=REPLY_TO, correlation_id="1")
    b.consume(q, "c", no_ack=1)
    m = b.deliver()
    name = amqp.Cursor(m.header.payload[14:])
    name.shortstr()
    to = name.shortstr().decode()
    b.declare(to, passive=1)
    b.publish(to, "answer", correlation_id="1", mandatory=1)
    a.deliver()
    b.declare(to)
    b.get(to)


@scenario("reply-to/without-consumer")
def reply_without_consumer(s):
    ch, q = queue(s)
    ch.publish(q, "x", reply_to=REPLY_TO)
    ch.fence()


@scenario("reply-to/without-consumer-unroutable")
def reply_without_consumer_unroutable(s):
    ch = s.channel()
    ch.publish("no-such-key", "x", reply_to=REPLY_TO)
    ch.fence()


@each("reply-to/consume", {
    "with-acks": {"no_ack": 0}, "exclusive": {"no_ack": 1, "exclusive": 1},
    "generated-tag": {"no_ack": 1, "tag": ""}, "nowait": {"no_ack": 1, "nowait": 1}})
def reply_consume(s, args):
    ch = s.channel()
    args = dict({"tag": "r"}, **args)
    tag = args.pop("tag")
    if args.get("nowait"):
        ch.send("basic.consume", queue=REPLY_TO, consumer_tag=tag, **args)
    else:
        tag = ch.consume(REPLY_TO, tag, **args)
    ch.fence()
    ch.call("basic.cancel", consumer_tag=tag)


@scenario("reply-to/consume-twice")
def reply_consume_twice(s):
    ch = s.channel()
    ch.consume(REPLY_TO, "a", no_ack=1)
    ch.consume(REPLY_TO, "b", no_ack=1)


@scenario("reply-to/consume-again-after-cancel")
def reply_consume_again(s):
    ch = s.channel()
    for _ in range(2):
        ch.consume(REPLY_TO, "a", no_ack=1)
        ch.call("basic.cancel", consumer_tag="a")
    ch.publish("k", "x", reply_to=REPLY_TO)
    ch.fence()


@scenario("reply-to/other-channel")
def reply_other_channel(s):
    ch = s.channel()
    two = ch.conn.channel(2)
    ch.consume(REPLY_TO, "a", no_ack=1)
    two.publish("k", "x", reply_to=REPLY_TO)
    two.fence()


@each("reply-to/declare", {"plain": {}, "passive": {"passive": 1}, "durable": {"durable": 1},
                           "exclusive": {"exclusive": 1}})
def reply_declare(s, flags):
    s.channel().declare(REPLY_TO, **flags)


@each("reply-to/use", {
    "get": ("basic.get", {}), "purge": ("queue.purge", {}), "delete": ("queue.delete", {}),
    "bind": ("queue.bind", {"exchange": "amq.direct"}),
    "unbind": ("queue.unbind", {"exchange": "amq.direct"})})
def reply_use(s, what):
    s.channel().call(what[0], queue=REPLY_TO, **what[1])


@each("reply-to/dead-name", {
    "passive": ("queue.declare", {"passive": 1}), "declare": ("queue.declare", {}),
    "consume": ("basic.consume", {"no_ack": 1}), "get": ("basic.get", {})})
def reply_dead(s, what):
    s.channel().call(what[0], queue=REPLY_TO + ".nobody", **what[1])


@scenario("reply-to/publish-to-the-name-itself")
def reply_publish_itself(s):
    ch = s.channel()
    ch.consume(REPLY_TO, "r", no_ack=1)
    ch.publish(REPLY_TO, "x", mandatory=1)
    ch.expect("basic.return")


@scenario("reply-to/other-names-untouched")
def reply_other(s):
    ch, q = queue(s)
    ch.publish(q, "x", reply_to=REPLY_TO + ".something")
    ch.get(q)
