"""Time to live of messages, per queue and per message, and x-expires of queues."""

from letters import LONG, SHORT, fetch, sleep_ms
from registry import each, scenario


def queue(s, arguments=None, ch=None, name="q", **flags):
    ch = ch or s.channel()
    return ch, ch.declare(s.q(name), arguments=arguments, **flags)


def drain(ch, q, most=6):
    for _ in range(most):
        m = ch.get(q, no_ack=1)
        if m is None or m.name != "basic.get-ok":
            return


# Queue arguments, properties of the message: gone after a while.
@each("ttl/expires", {
    "queue": ({"x-message-ttl": SHORT}, {}), "message": ({}, {"expiration": str(SHORT)}),
    "one-ms": ({"x-message-ttl": 1}, {}), "message-one-ms": ({}, {"expiration": "1"}),
    "message-smaller": ({"x-message-ttl": LONG}, {"expiration": str(SHORT)}),
    "queue-smaller": ({"x-message-ttl": SHORT}, {"expiration": str(LONG)}),
    "zero": ({"x-message-ttl": 0}, {}), "message-zero": ({}, {"expiration": "0"}),
    "persistent": ({"x-message-ttl": SHORT}, {"delivery_mode": 2}),
    "leading-zeros": ({}, {"expiration": "00050"}),
    "with-limit": ({"x-message-ttl": SHORT, "x-max-length": 10}, {}),
    "priority-queue": ({"x-message-ttl": SHORT, "x-max-priority": 3}, {"priority": 2})}, slow=True)
def expires(s, row):
    ch, q = queue(s, row[0], durable=1)
    for i in range(3):
        ch.publish(q, "m%d" % i, **row[1])
    ch.fence(q)
    ch.until_ready(q, 0)
    ch.get(q)


@each("ttl/stays", {
    "queue": ({"x-message-ttl": LONG}, {}), "message": ({}, {"expiration": str(LONG)}),
    "both": ({"x-message-ttl": LONG}, {"expiration": str(LONG)}),
    "longest": ({"x-message-ttl": ("l", 315360000000)}, {}),
    "message-longest": ({}, {"expiration": "315360000000"}),
    "property-kept": ({}, {"expiration": "0060000"})})
def stays(s, row):
    ch, q = queue(s, row[0])
    ch.publish(q, "m", **row[1])
    ch.fence(q)
    ch.get(q)


@scenario("ttl/message/behind-a-live-head", slow=True)
def behind_live(s):
    ch, q = queue(s)
    ch.publish(q, "live")
    ch.publish(q, "late", expiration=str(SHORT))
    sleep_ms(3 * SHORT)
    ch.declare(q, passive=1)
    ch.get(q)
    ch.get(q)


@scenario("ttl/message/between-live-ones", slow=True)
def between_live(s):
    ch, q = queue(s)
    ch.publish(q, "first")
    for i in range(3):
        ch.publish(q, "late%d" % i, expiration=str(SHORT))
    ch.publish(q, "last")
    sleep_ms(3 * SHORT)
    ch.declare(q, passive=1)
    drain(ch, q)


@scenario("ttl/message/head-expires-next-stays", slow=True)
def head_expires(s):
    ch, q = queue(s)
    ch.publish(q, "late", expiration=str(SHORT))
    ch.publish(q, "later", expiration=str(LONG))
    ch.publish(q, "live")
    ch.fence(q)
    ch.until_ready(q, 2)
    drain(ch, q)


@scenario("ttl/message/longer-first", slow=True)
def longer_first(s):
    ch, q = queue(s)
    ch.publish(q, "long", expiration=str(LONG))
    ch.publish(q, "short", expiration=str(SHORT))
    sleep_ms(3 * SHORT)
    ch.declare(q, passive=1)
    ch.call("queue.purge", queue=q)


@scenario("ttl/message/dropped-when-its-turn-comes-at-a-consumer", slow=True)
def turn_at_consumer(s):
    ch, q = queue(s)
    ch.publish(q, "live")
    ch.publish(q, "late", expiration=str(SHORT))
    ch.publish(q, "last")
    sleep_ms(3 * SHORT)
    ch.consume(q, "c")
    ch.deliver(2)
    ch.fence(q)


@each("ttl/consume-after", {"queue": ({"x-message-ttl": SHORT}, {}),
                            "message": ({}, {"expiration": str(SHORT)})}, slow=True)
def consume_after(s, row):
    ch, q = queue(s, row[0])
    ch.publish(q, "m", **row[1])
    sleep_ms(3 * SHORT)
    ch.consume(q, "c")
    ch.fence(q)
    ch.publish(q, "fresh", **row[1])
    ch.deliver()


# ---- TTL 0 ----

ZERO = {"queue": ({"x-message-ttl": 0}, {}), "message": ({}, {"expiration": "0"})}


@each("ttl/zero/ready-consumer", ZERO)
def zero_ready(s, row):
    ch, q = queue(s, row[0])
    ch.consume(q, "c")
    for i in range(3):
        ch.publish(q, "m%d" % i, **row[1])
    ch.deliver(3)


@each("ttl/zero/no-ack-consumer", ZERO)
def zero_no_ack(s, row):
    ch, q = queue(s, row[0])
    ch.consume(q, "c", no_ack=1)
    ch.publish(q, "m", **row[1])
    ch.deliver()
    ch.declare(q, passive=1)


@each("ttl/zero/full-consumer", ZERO)
def zero_full(s, row):
    ch, q = queue(s, row[0])
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    ch.publish(q, "m1", **row[1])
    ch.publish(q, "m2", **row[1])
    ch.deliver()
    ch.fence(q)
    ch.send("basic.ack", delivery_tag=1)
    ch.fence(q)
    ch.publish(q, "m3", **row[1])
    ch.deliver()


@each("ttl/zero/requeued", ZERO)
def zero_requeued(s, row):
    ch, q = queue(s, row[0])
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    ch.publish(q, "m", **row[1])
    ch.deliver()
    ch.call("basic.cancel", consumer_tag="c")
    ch.send("basic.nack", delivery_tag=1, requeue=1)
    ch.until_ready(q, 0)
    ch.get(q)


@each("ttl/zero/confirmed-not-returned", ZERO)
def zero_confirmed(s, row):
    ch, q = queue(s, row[0])
    ch.call("confirm.select")
    ch.publish(q, "m", mandatory=1, **row[1])
    ch.confirms(1)
    ch.fence(q)
    ch.get(q)


@each("ttl/zero/tx", ZERO)
def zero_tx(s, row):
    ch, q = queue(s, row[0])
    ch.call("tx.select")
    ch.publish(q, "m", **row[1])
    ch.call("tx.commit")
    ch.until_ready(q, 0)
    ch.get(q)


@scenario("ttl/zero/live-one-before")
def zero_behind(s):
    ch, q = queue(s)
    ch.publish(q, "live")
    ch.publish(q, "late", expiration="0")
    ch.fence(q)
    drain(ch, q)


@each("ttl/zero/behind", {
    "plain": ({}, {}), "with-ttl": ({"x-message-ttl": LONG}, {}),
    "with-limit": ({"x-max-length": 3}, {}), "priorities": ({"x-max-priority": 2}, {}),
    "higher-priority": ({"x-max-priority": 2}, {"priority": 2}),
    "lower-priority": ({"x-max-priority": 2}, {"priority": 0})})
def zero_counts(s, row):
    """It is there and counts until its turn comes; then it dies."""
    ch, x = s.channel(), s.x("dlx")
    ch.exchange(x, "fanout")
    dead = ch.declare(s.q("dead"))
    ch.bind(dead, x)
    q = ch.declare(s.q("q"), arguments=dict(row[0], **{"x-dead-letter-exchange": x}))
    ch.publish(q, "live1", priority=1)
    ch.publish(q, "late", expiration="0", **dict({"priority": 1}, **row[1]))
    ch.publish(q, "live2", priority=1)
    ch.fence(q)
    ch.declare(q, passive=1)
    ch.fence(dead)
    ch.declare(dead, passive=1)
    ch.get(q, no_ack=1)
    ch.fence(dead)
    ch.declare(q, passive=1)
    ch.get(q, no_ack=1)
    ch.get(q, no_ack=1)
    ch.fence(dead)
    ch.declare(dead, passive=1)


@scenario("ttl/zero/behind/consumer-comes")
def zero_consumer_comes(s):
    ch, q = queue(s)
    ch.publish(q, "live1")
    ch.publish(q, "late", expiration="0")
    ch.publish(q, "live2")
    ch.fence(q)
    ch.consume(q, "c")
    ch.deliver(2)
    ch.declare(q, passive=1)


# ---- what was handed out ----

HELD = {"queue": ({"x-message-ttl": 2 * SHORT}, {}),
        "message": ({}, {"expiration": str(2 * SHORT)})}


@each("ttl/requeue/keeps-the-expiry", HELD, slow=True)
def requeue_keeps(s, row):
    ch, q = queue(s, row[0])
    ch.publish(q, "m", **row[1])
    ch.get(q)
    sleep_ms(4 * SHORT)
    ch.send("basic.reject", delivery_tag=1, requeue=1)
    ch.until_ready(q, 0)
    ch.get(q)


@each("ttl/requeue/expired-on-channel-close", HELD, slow=True)
def requeue_close(s, row):
    ch, q = queue(s, row[0])
    two = ch.conn.channel(2)
    ch.publish(q, "m", **row[1])
    ch.get(q)
    sleep_ms(4 * SHORT)
    ch.close()
    two.until_ready(q, 0)
    two.get(q)


@each("ttl/requeue/alive", {"queue": ({"x-message-ttl": LONG}, {}),
                            "message": ({}, {"expiration": str(LONG)})})
def requeue_alive(s, row):
    ch, q = queue(s, row[0])
    ch.publish(q, "m", **row[1])
    ch.get(q)
    ch.send("basic.reject", delivery_tag=1, requeue=1)
    ch.until_ready(q, 1)
    ch.get(q)


@each("ttl/unacked-do-not-expire", HELD, slow=True)
def unacked(s, row):
    ch, q = queue(s, row[0])
    ch.publish(q, "m", **row[1])
    ch.get(q)
    sleep_ms(4 * SHORT)
    ch.send("basic.ack", delivery_tag=1)
    ch.fence(q)


@scenario("ttl/of-one-queue-of-two", slow=True)
def one_of_two(s):
    ch, q = queue(s, {"x-message-ttl": SHORT})
    other = ch.declare(s.q("other"))
    x = s.x()
    ch.exchange(x, "fanout")
    ch.bind(q, x)
    ch.bind(other, x)
    ch.publish("", "m", x)
    ch.fence(q)
    ch.until_ready(q, 0)
    drain(ch, other)


@scenario("ttl/expired-are-not-deleted-with-the-queue", slow=True)
def delete_count(s):
    ch, q = queue(s, {"x-message-ttl": SHORT})
    for i in range(3):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    ch.until_ready(q, 0)
    ch.call("queue.delete", queue=q, if_empty=1)


@scenario("ttl/many-at-once", slow=True)
def many(s):
    """More expire in one moment than a broker may want to give up in one go."""
    ch, q = queue(s)
    ch.publish(q, "live")
    for _ in range(3000):
        ch.conn.quiet = True
        ch.publish(q, "late", expiration=str(SHORT))
    ch.conn.quiet = False
    ch.publish(q, "last")
    ch.fence(q)
    sleep_ms(3 * SHORT)
    for _ in range(3):
        ch.send("basic.get", queue=q, no_ack=1)
    for _ in range(2):
        ch.expect("basic.get-ok")
    ch.wait("basic.get-empty")


# ---- x-expires ----

PERIOD = 200


def unused(s, arguments=None, period=PERIOD, **flags):
    return queue(s, dict({"x-expires": period}, **(arguments or {})), **flags)


def gone(ch, q):
    """One look, after long enough, since looking is use of the queue."""
    sleep_ms(4 * PERIOD)
    ch.conn.channel(9).declare(q, passive=1)


@each("expires/unused", {"plain": {}, "durable": {"durable": 1}, "auto-delete": {"auto_delete": 1},
                         "exclusive": {"exclusive": 1}}, slow=True)
def unused_gone(s, flags):
    ch, q = unused(s, **flags)
    gone(ch, q)


@scenario("expires/with-messages", slow=True)
def unused_messages(s):
    ch, q = unused(s)
    ch.publish(q, "m")
    gone(ch, q)


@scenario("expires/not-dead-lettered", slow=True)
def unused_dead(s):
    ch = s.channel()
    dead = ch.declare(s.q("dead"))
    _, q = unused(s, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}, ch=ch)
    ch.publish(q, "m")
    gone(ch, q)
    ch.get(dead)


@scenario("expires/consumer-keeps", slow=True)
def consumer_keeps(s):
    ch, q = unused(s)
    ch.consume(q, "c")
    sleep_ms(4 * PERIOD)
    ch.declare(q, passive=1)
    ch.call("basic.cancel", consumer_tag="c")
    gone(ch, q)


@scenario("expires/consumer-on-a-channel-that-closes", slow=True)
def consumer_closes(s):
    ch, q = unused(s)
    two = ch.conn.channel(2)
    two.consume(q, "c")
    sleep_ms(4 * PERIOD)
    two.close()
    gone(ch, q)


@scenario("expires/unacked-do-not-keep", slow=True)
def unacked_keep(s):
    ch, q = unused(s)
    ch.publish(q, "m")
    ch.fence()
    fetch(ch, q)
    ch.publish(q, "m2")
    ch.fence(q)
    ch.get(q)
    gone(ch, q)
    ch.send("basic.ack", delivery_tag=2)
    ch.fence()


# What is done to the queue for longer than its period; whether it is there then.
@each("expires/kept-by", {
    "get": lambda ch, q, a: ch.call("basic.get", queue=q),
    "declare": lambda ch, q, a: ch.call("queue.declare", queue=q, arguments=a),
    "passive-declare": lambda ch, q, a: ch.call("queue.declare", queue=q, passive=1),
    "publish": lambda ch, q, a: ch.publish(q, "m"),
    "bind": lambda ch, q, a: ch.call("queue.bind", queue=q, exchange="amq.direct"),
    "purge": lambda ch, q, a: ch.call("queue.purge", queue=q)}, slow=True)
def kept_by(s, use):
    ch, q = unused(s, period=400)
    ch.conn.quiet = True
    for _ in range(16):
        use(ch, q, {"x-expires": 400})
        sleep_ms(50)
        if ch.dead():
            break
    ch.conn.quiet = False
    two = ch.conn.channel(2)
    f = two.send("queue.declare", queue=q, passive=1).wait(("queue.declare-ok",),
                                                           silent=("queue.declare-ok",))
    s.log("= there: %s" % (f is not None and f.name == "queue.declare-ok"))


@scenario("expires/redeclared-after", slow=True)
def redeclared(s):
    ch, q = unused(s)
    ch.publish(q, "m")
    sleep_ms(4 * PERIOD)
    ch.declare(q, arguments={"x-expires": LONG})
    ch.get(q)


@scenario("expires/removes-bindings", slow=True)
def removes_bindings(s):
    ch, q = unused(s)
    x = s.x()
    ch.exchange(x, "fanout", auto_delete=1)
    ch.bind(q, x)
    gone(ch, q)
    ch.conn.channel(8).exchange(x, passive=1)
