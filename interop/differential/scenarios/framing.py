"""Frame-level and method-level errors: what the connection does with what it cannot use."""

import struct

import amqp
from registry import each, scenario


def running(s, **how):
    """A connection with channel 1 open."""
    c = s.connect(**how)
    return c, c.channel(1)


# ---- the frame itself ----

@scenario("framing/too-large", slow=True)
def too_large(s):
    c, _ = running(s)
    c.raw(struct.pack(">BHI", 3, 1, 131073), "head of a body frame of 131073")
    c.closed()


@scenario("framing/too-large-method-on-channel-0", slow=True)
def too_large_method(s):
    c, _ = running(s)
    c.raw(struct.pack(">BHI", 1, 0, 2**32 - 1), "head of a method frame of 4294967295")
    c.closed()


@scenario("framing/too-large-4096", slow=True)
def too_large_4096(s):
    c, _ = running(s, frame_max=4096)
    c.raw(struct.pack(">BHI", 3, 1, 4097), "head of a body frame of 4097")
    c.closed()


@scenario("framing/8-bytes-of-grace")
def grace(s):
    c, ch = running(s, frame_max=4096)
    q = ch.declare(s.q(), exclusive=1)
    ch.send("basic.publish", routing_key=q)
    c.send_frame(2, 1, amqp.header(4096, {}), "header 4096")
    c.send_frame(3, 1, b"g" * 4096, "body frame of 4096, eight more than negotiated")
    ch.get(q)


@each("framing/bad-end", {
    "method": (1, 1, amqp.method("channel.flow", active=1)), "heartbeat": (8, 0, b""),
    "header": (2, 1, b"\0" * 20), "body": (3, 1, b"abc"), "unknown-type": (9, 1, b"abc")},
    slow=True)
def bad_end(s, what):
    c, _ = running(s)
    c.send_frame(*what, "a frame that ends in cd", end=0xCD)
    c.closed()


@each("framing/unknown-type", {
    "0": (0, 0, b""), "4": (4, 1, b"abc"), "5": (5, 1, b"x" * 15), "6": (6, 1, b"y" * 16),
    "7": (7, 1, b"z" * 17), "9": (9, 1, b"abc"), "9-on-0": (9, 0, b"abc"),
    "255": (255, 2, b"\0\1\xff"),
    "65-binary": (65, 1, bytes(range(120, 140)))}, slow=True)
def unknown_type(s, what):
    c, _ = running(s)
    c.send_frame(*what, "frame of type %d" % what[0])
    c.closed()


@each("framing/short-method", {"empty": b"", "1": b"\0", "2": b"\0\x3c", "3": b"\0\x3c\0"},
    slow=True)
def short_method(s, payload):
    c, _ = running(s)
    c.send_frame(1, 1, payload, "method frame of %d bytes" % len(payload))
    c.closed()


@each("framing/misplaced", {
    "header-on-0": (2, 0, amqp.header(0, {})), "body-on-0": (3, 0, b"abc"),
    "body-empty-on-0": (3, 0, b""), "heartbeat-on-1": (8, 1, b""), "heartbeat-on-9": (8, 9, b""),
    "heartbeat-with-payload": (8, 0, b"abc"), "header-on-1": (2, 1, amqp.header(0, {})),
    "body-on-1": (3, 1, b"abc")}, slow=True)
def misplaced(s, what):
    c, _ = running(s)
    c.send_frame(*what, "frame of type %d: %s" % (what[0], amqp.show(what[2])))
    c.closed()


@scenario("framing/heartbeat-accepted")
def heartbeat(s):
    c, ch = running(s)
    for _ in range(3):
        c.send_frame(8, 0, b"", "heartbeat")
    ch.call("channel.flow", active=1)


@scenario("framing/heartbeat-between-content-frames")
def heartbeat_in_content(s):
    c, ch = running(s)
    q = ch.declare(s.q(), exclusive=1)
    ch.send("basic.publish", routing_key=q)
    c.send_frame(8, 0, b"", "heartbeat")
    c.send_frame(2, 1, amqp.header(2, {}), "header 2")
    c.send_frame(8, 0, b"", "heartbeat")
    c.send_frame(3, 1, b"hb", "body")
    ch.get(q)


@scenario("framing/heartbeat-sent", slow=True)
def heartbeat_sent(s):
    c, _ = running(s, heartbeat=2)
    c.wait("heartbeat")
    c.drop()


@scenario("framing/heartbeat-missed", slow=True)
def heartbeat_missed(s):
    c, _ = running(s, heartbeat=1)
    c.quiet = True
    c.closed(timeout=10)
    c.quiet = False
    c.log("= ended by the server" if c.eof else "= still open")


@scenario("framing/byte-by-byte")
def byte_by_byte(s):
    c, ch = running(s)
    q = ch.declare(s.q(), exclusive=1)
    data = (amqp.frame(1, 1, amqp.method("basic.publish", routing_key=q)) +
            amqp.frame(2, 1, amqp.header(3, {"type": "t"})) + amqp.frame(3, 1, b"abc"))
    c.log("> A publishes byte by byte")
    for i in range(len(data)):
        c.write(data[i:i + 1])
    ch.get(q)


# ---- content ----

PUBLISH = amqp.method("basic.publish", routing_key="nowhere")

@each("framing/content", {
    "publish-twice": [(1, PUBLISH)],
    "method-for-header": [(1, amqp.method("channel.flow", active=1))],
    "body-for-header": [(3, b"abc")],
    "weight": [(2, amqp.header(3, {}, weight=1))],
    "class-50": [(2, amqp.header(3, {}, cls=50))],
    "class-0": [(2, amqp.header(3, {}, cls=0))],
    "method-for-body": [(2, amqp.header(3, {})), (1, amqp.method("channel.flow", active=1))],
    "header-for-body": [(2, amqp.header(3, {})), (2, amqp.header(3, {}))],
    "method-within-body": [(2, amqp.header(6, {})), (3, b"abc"), (1, PUBLISH)],
    "header-within-body": [(2, amqp.header(6, {})), (3, b"abc"), (2, amqp.header(3, {}))],
    "body-after-empty": [(2, amqp.header(0, {})), (3, b"abc")],
    "empty-body-frame-after-empty": [(2, amqp.header(0, {})), (3, b"")],
    "body-after-body": [(2, amqp.header(3, {})), (3, b"abc"), (3, b"def")],
    "header-short": [(2, b"\0\x3c\0\0")],
    "header-empty": [(2, b"")],
    "header-no-flags": [(2, amqp.header(3, {})[:12]), (3, b"abc")],
    "close-for-header": [(1, amqp.method("channel.close", reply_code=200))],
}, slow=True)
def content(s, frames):
    c, ch = running(s)
    ch.send("basic.publish", routing_key="nowhere")
    for ftype, payload in frames:
        c.send_frame(ftype, 1, payload, "frame of type %d: %s" % (ftype, amqp.show(payload)))
    c.closed(timeout=5)


@each("framing/properties", {
    "continuation": struct.pack(">HHQH", 60, 0, 0, 0x8001) + b"\0\0" + b"\1a",
    "bit-1": struct.pack(">HHQH", 60, 0, 0, 0x0002),
    "truncated-string": struct.pack(">HHQH", 60, 0, 0, 0x8000) + b"\x09abc",
    "missing": struct.pack(">HHQH", 60, 0, 0, 0x8000),
    "trailing": struct.pack(">HHQH", 60, 0, 0, 0x0000) + b"xyz",
    "bad-table-type": struct.pack(">HHQH", 60, 0, 0, 0x2000) + amqp.table({"a": ("?", b"")}),
    "table-too-short": struct.pack(">HHQH", 60, 0, 0, 0x2000) + b"\0\0\0\x09\1a",
}, slow=True)
def properties(s, payload):
    c, ch = running(s)
    q = ch.declare(s.q(), exclusive=1)
    ch.send("basic.publish", routing_key=q)
    c.send_frame(2, 1, payload, "header " + amqp.show(payload))
    ch.get(q)


@scenario("framing/body-larger-than-declared")
def body_larger(s):
    c, ch = running(s)
    q = ch.declare(s.q(), exclusive=1)
    ch.send("basic.publish", routing_key=q)
    c.send_frame(2, 1, amqp.header(3, {}), "header 3")
    c.send_frame(3, 1, b"abcdef", "body of 6")
    ch.call("queue.declare", queue=q, passive=1)


@scenario("framing/empty-body-frames-within-body")
def empty_frames(s):
    c, ch = running(s)
    q = ch.declare(s.q(), exclusive=1)
    ch.send("basic.publish", routing_key=q)
    c.send_frame(2, 1, amqp.header(4, {}), "header 4")
    for part in (b"", b"ab", b"", b"cd"):
        c.send_frame(3, 1, part, "body " + amqp.show(part))
    ch.get(q)


@scenario("framing/content-of-two-channels-interleaved")
def interleaved(s):
    c, ch = running(s)
    two = c.channel(2)
    q = ch.declare(s.q(), exclusive=1)
    for n in (1, 2):
        c.send(n, "basic.publish", routing_key=q)
    for n in (2, 1):
        c.send_frame(2, n, amqp.header(3, {}), "header 3")
    for n in (1, 2):
        c.send_frame(3, n, b"on%d" % n, "body")
        (ch if n == 1 else two).fence(q)
    ch.get(q)
    ch.get(q)


# ---- methods out of place ----

SERVER_ONLY = ["exchange.declare-ok", "exchange.bind-ok", "exchange.delete-ok", "queue.declare-ok",
               "queue.bind-ok", "queue.purge-ok", "queue.delete-ok", "queue.unbind-ok",
               "basic.qos-ok",
               "basic.consume-ok", "basic.get-ok", "basic.get-empty", "basic.recover-ok",
               "basic.return", "basic.deliver", "confirm.select-ok", "tx.select-ok", "tx.commit-ok",
               "tx.rollback-ok", "channel.open-ok", "access.request-ok", "exchange.unbind-ok"]


@each("framing/server-method", {name: name for name in SERVER_ONLY})
def server_method(s, name):
    c, ch = running(s)
    ch.send(name)
    if name in ("basic.return", "basic.deliver", "basic.get-ok"):
        c.send_frame(2, 1, amqp.header(0, {}), "empty content")
    c.closed(timeout=5)


@each("framing/reply-from-client", {n: n for n in ("basic.cancel-ok", "channel.flow-ok")})
def reply_from_client(s, name):
    c, ch = running(s)
    ch.send(name)
    ch.call("channel.flow", active=1)


@each("framing/connection-method-on-channel-1", {n: n for n in (
    "connection.open", "connection.close", "connection.start-ok", "connection.tune-ok",
    "connection.update-secret", "connection.blocked")})
def connection_method_on_channel(s, name):
    c, ch = running(s)
    ch.send(name)
    c.closed(timeout=5)


@each("framing/connection-method-while-running", {n: n for n in (
    "connection.start", "connection.start-ok", "connection.secure", "connection.secure-ok",
    "connection.tune", "connection.tune-ok", "connection.open", "connection.open-ok",
    "connection.update-secret-ok", "connection.blocked", "connection.unblocked",
    "connection.close-ok")})
def connection_method_while_running(s, name):
    c, _ = running(s)
    c.send(0, name)
    c.closed(timeout=5)


@each("framing/channel-method-on-0", {n: n for n in (
    "channel.open", "channel.close", "channel.close-ok", "channel.flow", "queue.declare",
    "basic.publish", "basic.ack", "tx.select", "confirm.select", "exchange.declare")})
def channel_method_on_0(s, name):
    c, _ = running(s)
    c.send(0, name)
    c.closed(timeout=5)


# ---- fields that do not decode ----

@each("framing/cannot-decode", {
    "queue.declare-empty": ("queue.declare", lambda b: b[:4]),
    "queue.declare-one-short": ("queue.declare", lambda b: b[:-1]),
    "queue.declare-one-more": ("queue.declare", lambda b: b + b"x"),
    "queue.declare-table-long": ("queue.declare", lambda b: b[:-4] + b"\0\0\0\x09"),
    "queue.bind-short": ("queue.bind", lambda b: b[:-2]),
    "basic.publish-short": ("basic.publish", lambda b: b[:-1]),
    "basic.publish-trailing": ("basic.publish", lambda b: b + b"\1\2\3"),
    "basic.ack-short": ("basic.ack", lambda b: b[:-1]),
    "basic.ack-trailing": ("basic.ack", lambda b: b + b"\0"),
    "basic.get-name-too-long": ("basic.get", lambda b: b[:6] + b"\xff" + b[7:]),
    "exchange.declare-short": ("exchange.declare", lambda b: b[:7]),
    "channel.open-empty": ("channel.open", lambda b: b[:4]),
    "channel.close-short": ("channel.close", lambda b: b[:-3]),
    "channel.close-ok-trailing": ("channel.close-ok", lambda b: b + b"\0"),
    "tx.select-trailing": ("tx.select", lambda b: b + b"text"),
    "tx.commit-many-trailing": ("tx.commit", lambda b: b + bytes(range(40))),
    "confirm.select-empty": ("confirm.select", lambda b: b[:4]),
    "basic.qos-short": ("basic.qos", lambda b: b[:-2]),
})
def cannot_decode(s, how):
    c, _ = running(s)
    payload = how[1](amqp.method(how[0]))
    c.send_frame(1, 1, payload, "%s %s" % (how[0], amqp.show(payload)))
    c.closed(timeout=5)


@each("framing/cannot-decode-on-0", {
    "connection.close-short": ("connection.close", lambda b: b[:-1]),
    "connection.close-trailing": ("connection.close", lambda b: b + b"\0"),
    "connection.update-secret-short": ("connection.update-secret", lambda b: b[:-1])})
def cannot_decode_on_0(s, how):
    c, _ = running(s)
    payload = how[1](amqp.method(how[0]))
    c.send_frame(1, 0, payload, "%s %s" % (how[0], amqp.show(payload)))
    c.closed(timeout=5)


BAD_UTF8 = b"a\xff\xfeb"

@each("framing/utf-8", {
    "queue.declare": ("queue.declare", {"queue": BAD_UTF8}),
    "queue.declare-passive": ("queue.declare", {"queue": BAD_UTF8, "passive": 1}),
    "exchange.declare": ("exchange.declare", {"exchange": BAD_UTF8, "type": "direct"}),
    "exchange.declare-type": ("exchange.declare", {"exchange": "a", "type": BAD_UTF8}),
    "queue.bind-key": ("queue.bind", {"queue": "a", "exchange": "amq.direct",
            "routing_key": BAD_UTF8}),
    "basic.consume-tag": ("basic.consume", {"queue": "a", "consumer_tag": BAD_UTF8}),
    "basic.cancel": ("basic.cancel", {"consumer_tag": BAD_UTF8}),
    "basic.get": ("basic.get", {"queue": BAD_UTF8}),
    "overlong": ("queue.delete", {"queue": b"a\xc0\xafb"}),
    "surrogate": ("queue.delete", {"queue": b"\xed\xa0\x80"}),
    "cut": ("queue.delete", {"queue": b"abc\xe2\x82"}),
    "valid": ("queue.delete", {"queue": "caf\u00e9 \u20ac \U0001f600"}),
})
def utf8(s, what):
    c, ch = running(s)
    ch.call(what[0], **what[1])


@scenario("framing/utf-8-unchecked-in-publish")
def utf8_publish(s):
    c, ch = running(s)
    q = ch.declare(s.q(), exclusive=1)
    x = s.x()
    ch.exchange(x, "fanout")
    ch.bind(q, x)
    ch.publish(BAD_UTF8, "x", x, correlation_id=BAD_UTF8, headers={"k": BAD_UTF8})
    ch.get(q)


@scenario("framing/utf-8-in-publish-to-missing-exchange")
def utf8_publish_missing(s):
    c, ch = running(s)
    ch.publish("k", "x", BAD_UTF8)
    ch.wait("channel.close")
