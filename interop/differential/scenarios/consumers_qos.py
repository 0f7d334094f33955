"""Consumers and prefetch in the corners: recover, changes of prefetch, cancel with unacked
deliveries, queues that go, exclusive consumers, direct reply-to beside them."""

from letters import get, take
from registry import each, scenario


def filled(s, count, ch=None, name="q", **flags):
    ch = ch or s.channel()
    q = ch.declare(s.q(name), **flags)
    for i in range(1, count + 1):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    return ch, q


# ---- recover ----

@scenario("consumers/recover/keeps-order-and-tags")
def recover_order(s):
    ch, q = filled(s, 4)
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(q, "c")
    take(ch, 2)
    ch.call("basic.recover", requeue=1)
    take(ch, 2)
    ch.send("basic.ack", delivery_tag=4, multiple=1)
    take(ch, 2)


@scenario("consumers/recover/of-two-queues")
def recover_two(s):
    ch, a = filled(s, 2, name="a")
    _, b = filled(s, 2, ch, "b")
    for q in (a, b, a):
        get(ch, q)
    ch.call("basic.recover", requeue=1)
    for q in (a, b):
        ch.until_ready(q, 2)
        get(ch, q)
        get(ch, q)


@scenario("consumers/recover/to-another-channel")
def recover_other(s):
    ch, q = filled(s, 1)
    get(ch, q)
    two = ch.conn.channel(2)
    two.consume(q, "c")
    ch.call("basic.recover", requeue=1)
    take(two)


@scenario("consumers/recover/acked-are-not-recovered")
def recover_acked(s):
    ch, q = filled(s, 3)
    for _ in range(3):
        get(ch, q)
    ch.send("basic.ack", delivery_tag=2)
    ch.call("basic.recover", requeue=1)
    ch.until_ready(q, 2)
    get(ch, q)
    get(ch, q)


@scenario("consumers/recover/opens-the-window")
def recover_window(s):
    ch, q = filled(s, 3)
    ch.call("basic.qos", prefetch_count=2, global_=1)
    ch.consume(q, "c")
    take(ch, 2)
    ch.call("basic.recover", requeue=1)
    take(ch, 2)
    ch.fence(q)


@scenario("consumers/recover/in-tx")
def recover_tx(s):
    ch, q = filled(s, 2)
    ch.call("tx.select")
    get(ch, q)
    ch.call("basic.recover", requeue=1)
    ch.fence(q)
    ch.declare(q, passive=1)


# ---- prefetch ----

@scenario("consumers/prefetch/lowered-for-the-next")
def lowered(s):
    ch, q = filled(s, 6)
    ch.call("basic.qos", prefetch_count=3)
    ch.consume(q, "a")
    take(ch, 3)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "b")
    take(ch, 1)
    ch.fence(q)


@scenario("consumers/prefetch/none-again")
def none_again(s):
    ch, q = filled(s, 5)
    ch.call("basic.qos", prefetch_count=1)
    ch.call("basic.qos", prefetch_count=0)
    ch.consume(q, "c")
    take(ch, 5)


@scenario("consumers/prefetch/global-lowered")
def global_lowered(s):
    ch, q = filled(s, 6)
    ch.call("basic.qos", prefetch_count=3, global_=1)
    ch.consume(q, "c")
    take(ch, 3)
    ch.call("basic.qos", prefetch_count=1, global_=1)
    ch.send("basic.ack", delivery_tag=1)
    ch.send("basic.ack", delivery_tag=2)
    ch.fence(q)
    ch.send("basic.ack", delivery_tag=3)
    take(ch)
    ch.fence(q)


@scenario("consumers/prefetch/global-lifted")
def global_lifted(s):
    ch, q = filled(s, 5)
    ch.call("basic.qos", prefetch_count=1, global_=1)
    ch.consume(q, "c")
    take(ch)
    ch.call("basic.qos", prefetch_count=0, global_=1)
    take(ch, 4)


@scenario("consumers/prefetch/global-counts-what-was-delivered-before")
def global_late(s):
    ch, q = filled(s, 5)
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(q, "a")
    take(ch, 2)
    ch.call("basic.qos", prefetch_count=2, global_=1)
    ch.consume(q, "b")
    ch.fence(q)


@scenario("consumers/prefetch/global-does-not-count-gets")
def global_gets(s):
    ch, q = filled(s, 4)
    ch.call("basic.qos", prefetch_count=1, global_=1)
    get(ch, q)
    get(ch, q)
    ch.consume(q, "c")
    take(ch)
    ch.fence(q)


@scenario("consumers/prefetch/global-of-another-channel")
def global_other(s):
    ch, q = filled(s, 3)
    ch.call("basic.qos", prefetch_count=1, global_=1)
    two = ch.conn.channel(2)
    two.consume(q, "c")
    take(two, 3)


@scenario("consumers/prefetch/global-cancel-keeps-the-count")
def global_cancel(s):
    ch, q = filled(s, 3)
    ch.call("basic.qos", prefetch_count=1, global_=1)
    ch.consume(q, "a")
    take(ch)
    ch.call("basic.cancel", consumer_tag="a")
    ch.consume(q, "b")
    ch.fence(q)
    ch.send("basic.ack", delivery_tag=1)
    take(ch)


@scenario("consumers/prefetch/nack-multiple-opens-it")
def nack_multiple(s):
    ch, q = filled(s, 4)
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(q, "c")
    take(ch, 2)
    ch.send("basic.nack", delivery_tag=2, multiple=1, requeue=0)
    take(ch, 2)
    ch.fence(q)


@scenario("consumers/prefetch/requeue-to-a-full-one")
def requeue_full(s):
    ch, q = filled(s, 0)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "a")
    ch.consume(q, "b")
    for i in range(3):
        ch.publish(q, "m%d" % i)
    take(ch, 2)
    ch.send("basic.reject", delivery_tag=1, requeue=1)
    take(ch)
    ch.fence(q)


@scenario("consumers/prefetch/in-tx")
def prefetch_tx(s):
    ch, q = filled(s, 3)
    ch.call("tx.select")
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    tag = take(ch)
    ch.send("basic.ack", delivery_tag=tag)
    ch.fence(q)
    ch.call("tx.commit")
    take(ch)


# ---- cancel, delete ----

@each("consumers/after-cancel", {
    "ack": ("basic.ack", {}), "ack-multiple": ("basic.ack", {"multiple": 1}),
    "reject": ("basic.reject", {"requeue": 0}), "requeue": ("basic.reject", {"requeue": 1}),
    "nack-all": ("basic.nack", {"multiple": 1, "requeue": 1})})
def after_cancel(s, how):
    ch, q = filled(s, 4)
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(q, "c")
    take(ch, 2)
    ch.call("basic.cancel", consumer_tag="c")
    ch.send(how[0], delivery_tag=2, **how[1])
    ch.fence(q)
    ch.close()
    two = ch.conn.channel(2)
    left = {"ack": 3, "ack-multiple": 2, "reject": 3}
    two.until_ready(q, 4 if how[1].get("requeue") else left["ack-multiple"] if
                    how[1].get("multiple") else left["ack"])
    while get(two, q, no_ack=1):
        continue


@scenario("consumers/cancel/same-tag-again-with-unacked")
def cancel_same(s):
    ch, q = filled(s, 3)
    ch.call("basic.qos", prefetch_count=1)
    for i in range(3):
        ch.consume(q, "c")
        take(ch)
        ch.call("basic.cancel", consumer_tag="c")
    ch.send("basic.ack", delivery_tag=3, multiple=1)
    ch.fence(q)


@scenario("consumers/cancel/twice")
def cancel_twice(s):
    ch, q = filled(s, 0)
    ch.consume(q, "c")
    ch.call("basic.cancel", consumer_tag="c")
    ch.call("basic.cancel", consumer_tag="c")


@each("consumers/deleted-queue", {"consume": lambda ch, q: ch.consume(q, "c"),
                                  "get": lambda ch, q: ch.get(q),
                                  "purge": lambda ch, q: ch.call("queue.purge", queue=q)})
def deleted(s, use):
    ch, q = filled(s, 1)
    ch.call("queue.delete", queue=q)
    use(ch, q)


@each("consumers/deleted-under", {"ack": ("basic.ack", {}), "reject": (
    "basic.reject", {"requeue": 1}), "nack": ("basic.nack", {"multiple": 1, "requeue": 1})})
def deleted_under(s, how):
    ch, q = filled(s, 2)
    ch.consume(q, "c")
    take(ch, 2)
    s.channel().call("queue.delete", queue=q)
    ch.expect("basic.cancel")
    ch.send(how[0], delivery_tag=2, **how[1])
    ch.fence()
    ch.declare(q)


@scenario("consumers/deleted-and-declared-again")
def declared_again(s):
    ch, q = filled(s, 1)
    two = ch.conn.channel(2)
    two.consume(q, "c")
    take(two)
    ch.call("queue.delete", queue=q)
    two.expect("basic.cancel")
    filled(s, 1, ch)
    two.fence(q)
    two.send("basic.nack", delivery_tag=1, requeue=1)
    two.fence(q)
    get(ch, q)
    get(ch, q)


@scenario("consumers/deleted-window-opens")
def deleted_window(s):
    ch, a = filled(s, 2, name="a")
    _, b = filled(s, 2, ch, "b")
    ch.call("basic.qos", prefetch_count=2, global_=1)
    ch.consume(a, "a")
    take(ch, 2)
    ch.consume(b, "b")
    ch.fence(b)
    s.channel().call("queue.delete", queue=a)
    ch.expect("basic.cancel")
    ch.fence(b)
    ch.send("basic.ack", delivery_tag=2, multiple=1)
    take(ch, 2)


# ---- exclusive consumers ----

@each("consumers/exclusive-free-after", {
    "channel-close": lambda ch: ch.close(), "connection-close": lambda ch: ch.conn.close(),
    "cancel": lambda ch: ch.call("basic.cancel", consumer_tag="a")})
def exclusive_free(s, leave):
    a, q = filled(s, 0)
    b = s.channel()
    a.consume(q, "a", exclusive=1)
    a.fence(q)
    leave(a)
    b.fence(q)
    b.consume(q, "b", exclusive=1)
    b.publish(q, "m")
    take(b)


@scenario("consumers/exclusive-refused-leaves-the-channel-closed")
def exclusive_closed(s):
    a, q = filled(s, 0)
    b = s.channel()
    a.consume(q, "a", exclusive=1)
    b.consume(q, "b")
    a.publish(q, "m")
    take(a)


@scenario("consumers/exclusive-and-publish")
def exclusive_publish(s):
    ch, q = filled(s, 2)
    ch.consume(q, "c", exclusive=1)
    take(ch, 2)
    ch.publish(q, "m3")
    take(ch)


# ---- fairness ----

@scenario("consumers/round-robin/across-channels")
def robin(s):
    a, q = filled(s, 0)
    b = a.conn.channel(2)
    p = s.channel()
    a.consume(q, "a")
    b.consume(q, "b")
    for i in range(4):
        p.publish(q, "m%d" % i)
        p.fence(q)
    take(a, 2)
    take(b, 2)


@scenario("consumers/round-robin/skips-the-full")
def robin_full(s):
    ch, q = filled(s, 0)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "one")
    ch.call("basic.qos", prefetch_count=0)
    ch.consume(q, "any")
    for i in range(4):
        ch.publish(q, "m%d" % i)
        take(ch)


@scenario("consumers/priority/lower-when-higher-full")
def priority_full(s):
    ch, q = filled(s, 0)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "low")
    ch.consume(q, "high", arguments={"x-priority": 5})
    for i in range(2):
        ch.publish(q, "m%d" % i)
        take(ch)
    ch.send("basic.ack", delivery_tag=1)
    ch.send("basic.ack", delivery_tag=2)
    ch.publish(q, "m2")
    take(ch)


@scenario("consumers/priority/late-high-takes-over")
def priority_late(s):
    ch, q = filled(s, 0)
    ch.consume(q, "low")
    ch.publish(q, "m0")
    take(ch)
    ch.consume(q, "high", arguments={"x-priority": 1})
    for i in range(1, 3):
        ch.publish(q, "m%d" % i)
        take(ch)


# ---- direct reply-to beside queues ----

@scenario("consumers/reply-to/tags-shared-with-a-queue")
def reply_shared(s):
    a, q = filled(s, 1)
    a.consume("amq.rabbitmq.reply-to", "r", no_ack=1)
    a.publish(q, "ask", reply_to="amq.rabbitmq.reply-to")
    a.fence(q)
    get(a, q)
    b = s.channel()
    was, b.conn.quiet = b.conn.quiet, True
    m = b.get(q, no_ack=1)
    to = m.header.payload.split(b"amq.rabbitmq.reply-to.")[1]
    b.publish(b"amq.rabbitmq.reply-to." + to, "answer")
    b.conn.quiet = was
    a.deliver()


@scenario("consumers/reply-to/not-limited-by-prefetch")
def reply_prefetch(s):
    a, q = filled(s, 0)
    a.call("basic.qos", prefetch_count=1)
    a.consume("amq.rabbitmq.reply-to", "r", no_ack=1)
    for i in range(3):
        a.publish(q, "ask%d" % i, reply_to="amq.rabbitmq.reply-to")
    a.fence(q)
    b = s.channel()
    b.conn.quiet = True
    for i in range(3):
        m = b.get(q, no_ack=1)
        to = m.header.payload.split(b"amq.rabbitmq.reply-to.")[1]
        b.publish(b"amq.rabbitmq.reply-to." + to, "answer%d" % i)
    b.conn.quiet = False
    a.deliver(3)
