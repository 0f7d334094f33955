"""Quorum queues on one node: refusals, delivery counts and limits, order, dead letters.

RabbitMQ 3.10 writes x-delivery-count on the first delivery too, as 0; these scenarios leave that 0
out, but for those named quorum/count/header."""

import letters
from letters import SHORT, sleep_ms
from registry import each, scenario

QUORUM = {"x-queue-type": "quorum"}
# From 4.0 on there always is a limit; without one 3.10 puts what is returned at the back.
LIMITED = {"x-delivery-limit": 10}


def quorum(s, arguments=None, ch=None, name="q"):
    ch = ch or s.channel()
    return ch, ch.declare(s.q(name), durable=1, arguments=dict(QUORUM, **(arguments or {})))


def fill(ch, q, count, start=1, **props):
    """Confirmed, so that they are there."""
    ch = ch.conn.channel(50 + start)
    ch.conn.quiet = True
    ch.call("confirm.select")
    for i in range(start, start + count):
        ch.publish(q, "m%d" % i, **props)
        ch.expect("basic.ack")
    ch.close()
    ch.conn.quiet = False


def plain(fn):
    """The same function of letters.py, without x-delivery-count 0."""
    def run(ch, *args, **kwargs):
        lines, at = ch.conn.script.lines, len(ch.conn.script.lines)
        result = fn(ch, *args, **kwargs)
        lines[at:] = [x for x in lines[at:] if x != "=   x-delivery-count: l0"]
        return result
    return run


get, take, fetch = plain(letters.get), plain(letters.take), plain(letters.fetch)


def drain(ch, q):
    while get(ch, q, no_ack=1):
        continue


@scenario("quorum/publish-and-get")
def publish_get(s):
    ch, q = quorum(s)
    fill(ch, q, 3)
    for _ in range(3):
        ch.send("basic.ack", delivery_tag=get(ch, q))
    get(ch, q)


@scenario("quorum/publish-and-consume")
def publish_consume(s):
    ch, q = quorum(s)
    ch.call("basic.qos", prefetch_count=10)
    ch.consume(q, "c")
    fill(ch, q, 3)
    take(ch, 3)
    ch.send("basic.ack", delivery_tag=3, multiple=1)
    ch.fence(q)


@each("quorum/transient-message", {"one": 1, "two": 2, "absent": None})
def transient(s, mode):
    ch, q = quorum(s)
    fill(ch, q, 1, **({} if mode is None else {"delivery_mode": mode}))
    get(ch, q)


# ---- refusals ----

@each("quorum/delete", {"if-unused": {"if_unused": 1}, "if-empty": {"if_empty": 1},
                        "both": {"if_unused": 1, "if_empty": 1}, "plain": {}})
def delete(s, flags):
    ch, q = quorum(s)
    fill(ch, q, 2)
    ch.call("queue.delete", queue=q, **flags)


@each("quorum/global-qos", {"limit": 5, "none": 0})
def global_qos(s, count):
    ch, q = quorum(s)
    ch.call("basic.qos", prefetch_count=count, global_=1)
    ch.send("basic.consume", queue=q, consumer_tag="c")
    ch.wait("basic.consume-ok")


@scenario("quorum/global-qos/get-allowed")
def global_qos_get(s):
    ch, q = quorum(s)
    fill(ch, q, 1)
    ch.call("basic.qos", prefetch_count=5, global_=1)
    get(ch, q)


@each("quorum/exclusive-consumer-not-enforced", {"then-other": (1, 0), "after-other": (0, 1),
                                                 "twice": (1, 1)})
def exclusive(s, how):
    ch, q = quorum(s)
    ch.call("basic.qos", prefetch_count=10)
    ch.consume(q, "a", exclusive=how[0])
    ch.consume(q, "b", exclusive=how[1])


@scenario("quorum/get-of-single-active")
def get_sac(s):
    ch, q = quorum(s, {"x-single-active-consumer": True})
    ch.get(q)


@scenario("quorum/exclusive-consumer-of-single-active")
def exclusive_sac(s):
    ch, q = quorum(s, {"x-single-active-consumer": True})
    ch.call("basic.qos", prefetch_count=10)
    ch.consume(q, "a", exclusive=1)
    ch.consume(q, "b", exclusive=1)


@each("quorum/consumer-arguments", {"stream-offset": {"x-stream-offset": "first"},
                                    "priority": {"x-priority": 3},
                                    "priority-string": {"x-priority": "3"},
                                    "unknown": {"x-nobody-knows": 1}})
def consumer_arguments(s, arguments):
    ch, q = quorum(s)
    ch.call("basic.qos", prefetch_count=10)
    ch.consume(q, "c", arguments=arguments)


@scenario("quorum/purge")
def purge(s):
    ch, q = quorum(s)
    fill(ch, q, 3)
    get(ch, q)
    ch.call("queue.purge", queue=q)
    get(ch, q)


@each("quorum/inequivalent", {"classic": {"x-queue-type": "classic"}, "none": None,
                              "limit": {"x-queue-type": "quorum", "x-delivery-limit": 5},
                              "ttl": {"x-queue-type": "quorum", "x-message-ttl": 5}})
def inequivalent(s, arguments):
    ch, q = quorum(s)
    ch.declare(q, durable=1, arguments=arguments)


# ---- delivery count ----

@each("quorum/count/header", {"first": 0, "second": 1})
def count_header(s, returns):
    ch, q = quorum(s)
    fill(ch, q, 1)
    for _ in range(returns):
        ch.send("basic.reject", delivery_tag=get(ch, q), requeue=1)
        ch.until_ready(q, 1)
    letters.get(ch, q)


@each("quorum/count/returned-by", {
    "reject": lambda ch, tag: ch.send("basic.reject", delivery_tag=tag, requeue=1),
    "nack": lambda ch, tag: ch.send("basic.nack", delivery_tag=tag, requeue=1),
    "nack-multiple": lambda ch, tag: ch.send("basic.nack", delivery_tag=tag, multiple=1, requeue=1),
    "recover": lambda ch, tag: ch.call("basic.recover", requeue=1)})
def count_by(s, give_back):
    ch, q = quorum(s)
    fill(ch, q, 1)
    for _ in range(3):
        give_back(ch, get(ch, q))
        ch.until_ready(q, 1)
    get(ch, q)


@each("quorum/count/returned-by-end-of", {"channel": lambda ch: ch.close(),
                                          "connection": lambda ch: ch.conn.close()})
def count_end(s, end):
    ch, q = quorum(s)
    fill(ch, q, 1)
    for _ in range(2):
        other = s.channel()
        get(other, q)
        end(other)
        ch.until_ready(q, 1)
    get(ch, q)


@scenario("quorum/count/by-consumer")
def count_consumer(s):
    ch, q = quorum(s)
    fill(ch, q, 1)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    for _ in range(4):
        ch.send("basic.nack", delivery_tag=take(ch), requeue=1)
    take(ch)


@scenario("quorum/count/client-writes-it")
def count_client(s):
    ch, q = quorum(s)
    fill(ch, q, 1, headers={"x-delivery-count": 40, "own": 1})
    ch.send("basic.reject", delivery_tag=get(ch, q), requeue=1)
    ch.until_ready(q, 1)
    get(ch, q)


@scenario("quorum/count/of-a-dead-letter")
def count_dead(s):
    ch = s.channel()
    _, dead = quorum(s, ch=ch, name="dead")
    _, q = quorum(s, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead,
                      "x-delivery-limit": 1}, ch)
    fill(ch, q, 1)
    for _ in range(2):
        ch.send("basic.reject", delivery_tag=get(ch, q), requeue=1)
        ch.fence(q)
    fetch(ch, dead)


# ---- delivery limit ----

@each("quorum/limit", {"zero": 0, "one": 1, "two": 2})
def limit(s, most):
    ch, q = quorum(s, {"x-delivery-limit": most})
    fill(ch, q, 1)
    for _ in range(most + 1):
        ch.send("basic.reject", delivery_tag=get(ch, q), requeue=1)
        ch.fence(q)
        ch.fence(q)
    ch.until_ready(q, 0)
    get(ch, q)


@each("quorum/limit/dead-letter", {"reject": "basic.reject", "nack": "basic.nack"})
def limit_dead(s, how):
    ch = s.channel()
    dead = ch.declare(s.q("dead"))
    _, q = quorum(s, {"x-delivery-limit": 2, "x-dead-letter-exchange": "",
                      "x-dead-letter-routing-key": dead}, ch)
    fill(ch, q, 2)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    for _ in range(6):
        ch.send(how, delivery_tag=take(ch), requeue=1)
    letters.fetch(ch, dead, 2)
    ch.fence(q)


@scenario("quorum/limit/none-by-argument")
def limit_none(s):
    ch, q = quorum(s, {"x-delivery-limit": 5})
    fill(ch, q, 1)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    for _ in range(5):
        ch.send("basic.nack", delivery_tag=take(ch), requeue=1)
    ch.send("basic.ack", delivery_tag=take(ch))
    ch.fence(q)


# ---- order ----

@each("quorum/order", {"reject-first": [1], "reject-last": [3], "forwards": [1, 2, 3],
                       "backwards": [3, 2, 1], "one-of-two": [2, 1]})
def order(s, tags):
    ch, q = quorum(s, LIMITED)
    fill(ch, q, 5)
    for _ in range(3):
        get(ch, q)
    for tag in tags:
        ch.send("basic.reject", delivery_tag=tag, requeue=1)
        ch.until_ready(q, 2 + tags.index(tag) + 1)
    drain(ch, q)


@scenario("quorum/order/channel-close")
def order_close(s):
    ch, q = quorum(s, LIMITED)
    two = ch.conn.channel(2)
    fill(ch, q, 5)
    for _ in range(3):
        get(ch, q)
    ch.close()
    two.until_ready(q, 5)
    drain(two, q)


# ---- limits, TTL, dead letters ----

@each("quorum/max-length", {"drop-head": {"x-max-length": 2}, "bytes": {"x-max-length-bytes": 4}})
def max_length(s, arguments):
    ch = s.channel()
    dead = ch.declare(s.q("dead"))
    _, q = quorum(s, dict(arguments, **{"x-dead-letter-exchange": "",
                                        "x-dead-letter-routing-key": dead}), ch)
    fill(ch, q, 5)
    fetch(ch, dead, 3)
    drain(ch, q)


@each("quorum/ttl", {"queue": ({"x-message-ttl": SHORT}, {}),
                     "message": ({}, {"expiration": str(SHORT)})}, slow=True)
def ttl(s, row):
    ch = s.channel()
    dead = ch.declare(s.q("dead"))
    _, q = quorum(s, dict(row[0], **{"x-dead-letter-exchange": "",
                                     "x-dead-letter-routing-key": dead}), ch)
    fill(ch, q, 2, **row[1])
    sleep_ms(3 * SHORT)
    fetch(ch, dead, 2)
    get(ch, q)


@scenario("quorum/rejected")
def rejected(s):
    ch = s.channel()
    dead = ch.declare(s.q("dead"))
    _, q = quorum(s, dict(LIMITED, **{"x-dead-letter-exchange": "",
                                      "x-dead-letter-routing-key": dead}), ch)
    fill(ch, q, 2)
    ch.send("basic.reject", delivery_tag=get(ch, q), requeue=1)
    ch.until_ready(q, 2)
    for _ in range(2):
        ch.send("basic.reject", delivery_tag=get(ch, q), requeue=0)
    fetch(ch, dead, 2)


# ---- consumers ----

@scenario("quorum/prefetch")
def prefetch(s):
    ch, q = quorum(s)
    fill(ch, q, 5)
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(q, "c")
    take(ch, 2)
    ch.fence(q)
    ch.send("basic.ack", delivery_tag=1)
    take(ch)


@scenario("quorum/unlimited-prefetch-is-2000", slow=True)
def unlimited(s):
    ch, q = quorum(s)
    pub = ch.conn.channel(2)
    pub.call("confirm.select")
    ch.conn.quiet = True
    for i in range(2005):
        pub.publish(q, "m")
    pub.confirms(2005)
    ch.consume(q, "c")
    ch.deliver(2000)
    ch.conn.quiet = False
    ch.fence(q)
    ch.declare(q, passive=1)


@scenario("quorum/no-ack")
def no_ack(s):
    ch, q = quorum(s)
    fill(ch, q, 3)
    ch.consume(q, "c", no_ack=1)
    take(ch, 3)
    ch.until_ready(q, 0)


@scenario("quorum/single-active")
def single_active(s):
    a, q = quorum(s, {"x-single-active-consumer": True})
    b = s.channel()
    for ch, tag in ((a, "a"), (b, "b")):
        ch.call("basic.qos", prefetch_count=5)
        ch.consume(q, tag)
    p = s.channel()
    fill(p, q, 2)
    take(a, 2)
    a.close()
    take(b, 2)


@scenario("quorum/confirms")
def confirms(s):
    ch, q = quorum(s)
    ch.call("confirm.select")
    for i in range(10):
        ch.publish(q, "m%d" % i)
    ch.confirms(10)


@scenario("quorum/tx")
def tx(s):
    ch, q = quorum(s)
    ch.call("tx.select")
    ch.publish(q, "m")
    ch.call("tx.commit")
    ch.until_ready(q, 1)
    get(ch, q, no_ack=1)
