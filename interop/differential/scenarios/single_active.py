"""Single active consumer: who is active, and who follows."""

from letters import get, take
from registry import each, scenario

SAC = {"x-single-active-consumer": True}


def alone(s, ch=None, arguments=None, **flags):
    ch = ch or s.channel()
    return ch, ch.declare(s.q(), arguments=dict(SAC, **(arguments or {})), **flags)


def fill(ch, q, count, start=1):
    for i in range(start, start + count):
        ch.publish(q, "m%d" % i)


@scenario("single-active/first-gets-all")
def first(s):
    ch, q = alone(s)
    for tag in "abc":
        ch.consume(q, tag)
    fill(ch, q, 5)
    take(ch, 5)


@scenario("single-active/across-connections")
def connections(s):
    a, q = alone(s)
    b, p = s.channel(), s.channel()
    a.consume(q, "a")
    b.consume(q, "b")
    fill(p, q, 3)
    take(a, 3)
    b.fence(q)


@scenario("single-active/full-does-not-pass-on")
def full(s):
    ch, q = alone(s)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "a")
    ch.consume(q, "b")
    fill(ch, q, 3)
    tag = take(ch)
    ch.fence(q)
    ch.send("basic.ack", delivery_tag=tag)
    take(ch)
    ch.fence(q)


# How the active consumer goes; the next in order of arrival follows.
@each("single-active/next-after", {
    "cancel": lambda ch: ch.call("basic.cancel", consumer_tag="a"),
    "channel-close": lambda ch: ch.close(), "connection-close": lambda ch: ch.conn.close(),
    "channel-error": lambda ch: ch.declare("no-such-queue", passive=1)})
def next_after(s, leave):
    a, q = alone(s)
    b, c, p = s.channel(), s.channel(), s.channel()
    a.consume(q, "a")
    b.consume(q, "b")
    c.consume(q, "c")
    fill(p, q, 1)
    a.send("basic.ack", delivery_tag=take(a))
    a.fence(q)
    leave(a)
    fill(p, q, 2, 2)
    take(b, 2)
    c.fence(q)


@each("single-active/unacked-go-to-the-next", {"channel-close": lambda ch: ch.close(),
                                               "connection-lost": lambda ch: ch.conn.drop()})
def unacked(s, leave):
    a, q = alone(s)
    b, p = s.channel(), s.channel()
    a.call("basic.qos", prefetch_count=2)
    a.consume(q, "a")
    b.consume(q, "b")
    fill(p, q, 4)
    take(a, 2)
    p.fence(q)
    leave(a)
    take(b, 4)


@scenario("single-active/cancelled-keeps-its-unacked")
def cancelled(s):
    a, q = alone(s)
    b, p = s.channel(), s.channel()
    a.call("basic.qos", prefetch_count=1)
    a.consume(q, "a")
    b.consume(q, "b")
    fill(p, q, 1)
    tag = take(a)
    a.call("basic.cancel", consumer_tag="a")
    fill(p, q, 2, 2)
    take(b, 2)
    a.send("basic.reject", delivery_tag=tag, requeue=1)
    take(b)


@scenario("single-active/waiting-one-leaves")
def waiting_leaves(s):
    a, q = alone(s)
    b, c, p = s.channel(), s.channel(), s.channel()
    for ch, tag in ((a, "a"), (b, "b"), (c, "c")):
        ch.consume(q, tag)
    b.call("basic.cancel", consumer_tag="b")
    a.call("basic.cancel", consumer_tag="a")
    fill(p, q, 1)
    take(c)


@scenario("single-active/last-leaves-and-a-new-one-comes")
def new_one(s):
    ch, q = alone(s)
    fill(ch, q, 1)
    ch.consume(q, "a")
    take(ch)
    ch.call("basic.cancel", consumer_tag="a")
    fill(ch, q, 1, 2)
    ch.consume(q, "b")
    take(ch)


@scenario("single-active/comes-back-as-the-last")
def comes_back(s):
    ch, q = alone(s)
    for tag in "ab":
        ch.consume(q, tag)
    ch.call("basic.cancel", consumer_tag="a")
    ch.consume(q, "a")
    fill(ch, q, 2)
    take(ch, 2)
    ch.call("basic.cancel", consumer_tag="b")
    fill(ch, q, 1, 3)
    take(ch)


@each("single-active/exclusive-refused", {"first": 0, "second": 1})
def exclusive(s, before):
    ch, q = alone(s)
    if before:
        ch.conn.channel(2).consume(q, "other")
    ch.consume(q, "c", exclusive=1)


@scenario("single-active/get-allowed")
def get_allowed(s):
    ch, q = alone(s)
    fill(ch, q, 1)
    ch.until_ready(q, 1)
    get(ch, q)


@scenario("single-active/get-beside-a-full-consumer")
def get_beside(s):
    ch, q = alone(s)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "a")
    fill(ch, q, 3)
    take(ch)
    ch.until_ready(q, 2)
    get(ch, q)


@scenario("single-active/consumer-count")
def count(s):
    ch, q = alone(s)
    for tag in "abc":
        ch.consume(q, tag)
    ch.declare(q, passive=1)


@scenario("single-active/auto-delete")
def auto_delete(s):
    ch, q = alone(s, auto_delete=1)
    ch.consume(q, "a")
    ch.consume(q, "b")
    ch.call("basic.cancel", consumer_tag="a")
    ch.declare(q, passive=1)
    ch.call("basic.cancel", consumer_tag="b")
    ch.until_gone(q)


@scenario("single-active/queue-deleted")
def deleted(s):
    a, q = alone(s)
    b = s.channel()
    a.consume(q, "a")
    b.consume(q, "b")
    s.channel().call("queue.delete", queue=q)
    a.expect("basic.cancel")
    b.expect("basic.cancel")


@scenario("single-active/priority-does-not-choose")
def priority(s):
    ch, q = alone(s)
    ch.consume(q, "low", arguments={"x-priority": -1})
    ch.consume(q, "high", arguments={"x-priority": 10})
    fill(ch, q, 2)
    take(ch, 2)


@scenario("single-active/no-ack")
def no_ack(s):
    ch, q = alone(s)
    ch.consume(q, "a", no_ack=1)
    ch.consume(q, "b", no_ack=1)
    fill(ch, q, 3)
    take(ch, 3)
    ch.call("basic.cancel", consumer_tag="a")
    fill(ch, q, 1, 4)
    take(ch)


@scenario("single-active/with-ttl-zero")
def ttl_zero(s):
    ch, q = alone(s, arguments={"x-message-ttl": 0})
    ch.consume(q, "a")
    ch.consume(q, "b")
    fill(ch, q, 2)
    take(ch, 2)


@scenario("single-active/redeclare-without")
def redeclare(s):
    ch, q = alone(s)
    ch.declare(q)
