"""Channels and the closing of connections."""

import amqp
from registry import each, scenario


@scenario("channel/open")
def open_(s):
    c = s.connect()
    c.send(1, "channel.open")
    c.wait("channel.open-ok", 1)


@scenario("channel/open-out-of-band")
def open_out_of_band(s):
    c = s.connect()
    c.send(1, "channel.open", out_of_band="anything")
    c.wait("channel.open-ok", 1)


@scenario("channel/open-twice")
def open_twice(s):
    ch = s.channel()
    ch.send("channel.open")
    ch.conn.closed()


@each("channel/never-opened", {name: (name, args) for name, args in {
    "queue.declare": {"queue": "q"}, "basic.publish": {}, "basic.ack": {"delivery_tag": 1},
    "channel.close": {"reply_code": 200}, "channel.close-ok": {}, "channel.flow": {"active": 1},
    "basic.qos": {}, "channel.open-ok": {}, "tx.select": {}}.items()})
def never_opened(s, what):
    c = s.connect()
    c.send(7, what[0], **what[1])
    if what[0] == "basic.publish":
        c.send_frame(2, 7, amqp.header(0, {}), "empty content")
    c.closed(timeout=5)


@each("channel/content-on-never-opened", {"header": (2, amqp.header(0, {})), "body": (3, b"x")})
def content_never_opened(s, what):
    c = s.connect()
    c.send_frame(what[0], 5, what[1], "frame of type %d" % what[0])
    c.closed(timeout=5)


@scenario("channel/close-then-reuse")
def close_reuse(s):
    ch = s.channel()
    for _ in range(2):
        ch.call("channel.close", reply_code=200, reply_text="bye")
        ch.call("channel.open")
    ch.call("channel.flow", active=1)


@scenario("channel/close-with-odd-code")
def close_odd(s):
    ch = s.channel()
    ch.call("channel.close", reply_code=65535, reply_text="t" * 255, class_id=60, method_id=40)


@scenario("channel/method-after-close")
def method_after_close(s):
    ch = s.channel()
    ch.call("channel.close", reply_code=200)
    ch.send("channel.flow", active=1)
    ch.conn.closed()


@scenario("channel/close-ok-unexpected")
def close_ok_unexpected(s):
    ch = s.channel()
    ch.send("channel.close-ok")
    ch.conn.closed(timeout=5)


@scenario("channel/reuse-after-server-close")
def reuse_after_error(s):
    ch = s.channel()
    ch.call("queue.declare", queue=s.q(), passive=1)
    ch.over = False
    ch.call("channel.open")
    ch.declare(s.q(), exclusive=1)


@scenario("channel/input-ignored-until-close-ok")
def ignored(s):
    ch = s.channel()
    q, ch.auto_close = s.q(), False
    ch.call("queue.declare", queue=q, passive=1)
    ch.send("queue.declare", queue=q)
    ch.publish(q, "ignored")
    ch.send("basic.ack", delivery_tag=99)
    ch.send("channel.close-ok")
    ch.call("channel.open")
    ch.auto_close = True
    ch.call("queue.declare", queue=q, passive=1)


@scenario("channel/close-crossing")
def close_crossing(s):
    ch = s.channel()
    ch.auto_close = False
    ch.call("queue.declare", queue=s.q(), passive=1)
    ch.call("channel.close", reply_code=200)
    ch.send("channel.close-ok")
    ch.call("channel.open")


@scenario("channel/close-within-content")
def close_within_content(s):
    ch = s.channel()
    ch.send("basic.publish", routing_key="nowhere")
    ch.conn.send_frame(2, 1, amqp.header(5, {}), "header 5")
    ch.conn.send(1, "channel.close", reply_code=200)
    ch.conn.wait("channel.close-ok", 1)


@scenario("channel/errors-are-separate")
def separate(s):
    one = s.channel()
    two = one.conn.channel(2)
    q = one.declare(s.q(), exclusive=1)
    two.call("queue.declare", queue=q + "-missing", passive=1)
    one.call("queue.declare", queue=q, passive=1)


@each("channel/flow", {"on": 1, "off": 0})
def flow(s, active):
    ch = s.channel()
    ch.call("channel.flow", active=active)
    ch.fence()


@scenario("channel/access-request")
def access(s):
    ch = s.channel()
    ch.call("access.request", realm="/data", active=1, write=1, read=1)


@scenario("channel/max/numbers-are-free")
def max_numbers(s):
    c = s.connect(channel_max=2)
    for number in (50, 65535):
        c.send(number, "channel.open")
        c.wait("channel.open-ok", number)


@scenario("channel/max/third-of-two")
def max_third(s):
    c = s.connect(channel_max=2)
    for number in (1, 2):
        c.channel(number)
    c.send(3, "channel.open")
    c.closed()


@scenario("channel/max/closing-makes-room")
def max_room(s):
    c = s.connect(channel_max=1)
    for number in (1, 2, 3):
        c.channel(number).close()


@scenario("channel/max/server-closed-makes-room")
def max_room_server(s):
    c = s.connect(channel_max=1)
    for number in (1, 2):
        c.channel(number).call("queue.declare", queue=s.q(), passive=1)


@scenario("channel/close-requeues")
def close_requeues(s):
    a = s.channel()
    b = a.conn.channel(2)
    q = a.declare(s.q(), exclusive=1)
    for i in range(4):
        a.publish(q, "m%d" % i)
    b.fence(q)
    a.fence(q)
    b.call("basic.qos", prefetch_count=3)
    b.consume(q, "c")
    b.deliver(3)
    b.send("basic.ack", delivery_tag=2)
    b.deliver()
    b.close()
    a.until_ready(q, 3)
    for _ in range(4):
        a.get(q, no_ack=1)


@scenario("channel/error-requeues")
def error_requeues(s):
    a = s.channel()
    b = a.conn.channel(2)
    q = a.declare(s.q(), exclusive=1)
    for i in range(3):
        a.publish(q, "m%d" % i)
    a.fence(q)
    b.get(q)
    b.get(q)
    b.call("queue.declare", queue=q + "-missing", passive=1)
    a.until_ready(q, 3)
    for _ in range(4):
        a.get(q, no_ack=1)


@scenario("channel/500-at-once")
def many(s):
    c = s.connect()
    c.write(b"".join(amqp.frame(1, n, amqp.method("channel.open")) for n in range(1, 501)))
    c.quiet = True
    opened = [c.wait("channel.open-ok", n) for n in range(1, 501)]
    c.quiet = False
    c.log("= %d opened" % sum(f is not None and f.name == "channel.open-ok" for f in opened))


# ---- connection ----

@scenario("connection/close")
def connection_close(s):
    c = s.connect()
    c.call("connection.close", reply_code=200, reply_text="Goodbye")
    c.drop()


@scenario("connection/close-with-channels")
def connection_close_channels(s):
    c = s.connect()
    q = c.channel(1).declare(s.q(), exclusive=1)
    c.channel(2).consume(q, "c")
    c.call("connection.close", reply_code=320, reply_text="odd code", class_id=50, method_id=10)
    c.drop()


@scenario("connection/method-after-close")
def method_after_connection_close(s):
    c = s.connect()
    c.channel(1)
    c.raw(amqp.frame(1, 0, amqp.method("connection.close", reply_code=200)) +
          amqp.frame(1, 1, amqp.method("channel.flow", active=1)),
          "0 connection.close, 1 channel.flow")
    c.wait("connection.close-ok")
    c.drop()


@scenario("connection/close-crossing")
def connection_close_crossing(s):
    c = s.connect()
    c.auto_close = False
    c.channel(1).send("basic.qos", prefetch_size=10)
    c.wait("connection.close")
    c.call("connection.close", reply_code=200)
    c.send(0, "connection.close-ok")
    c.closed()


@scenario("connection/input-ignored-after-server-close")
def connection_ignored(s):
    c = s.connect()
    c.auto_close = False
    q = s.q()
    c.channel(1).send("basic.qos", prefetch_size=10)
    c.wait("connection.close")
    c.send(1, "queue.declare", queue=q)
    c.send(2, "channel.open")
    c.send(0, "connection.tune-ok")
    c.send_frame(8, 0, b"", "heartbeat")
    c.send(0, "connection.close-ok")
    c.closed()
    s.channel().call("queue.declare", queue=q, passive=1)


@scenario("connection/close-ok-waited-for", slow=True)
def connection_close_waits(s):
    c = s.connect(heartbeat=3)
    c.auto_close = False
    c.channel(1).send("basic.qos", prefetch_size=10)
    c.wait("connection.close")
    c.closed()


@each("connection/update-secret", {
    "plain": {"new_secret": "s", "reason": "r"}, "empty": {}, "long": {"new_secret": "s" * 5000}})
def update_secret(s, args):
    c = s.connect()
    c.call("connection.update-secret", **args)
    c.channel(1).call("channel.flow", active=1)


@scenario("connection/dropped-requeues")
def dropped_requeues(s):
    a, b = s.channel(), s.channel()
    q = a.declare(s.q())
    a.publish(q, "m")
    a.fence(q)
    b.get(q)
    b.conn.drop()
    a.consume(q, "c", no_ack=1)
    a.deliver()


@scenario("connection/not-blocked")
def not_blocked(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    for i in range(20):
        ch.publish(q, "x" * 1000)
    ch.fence(q)
    ch.call("queue.declare", queue=q, passive=1)
