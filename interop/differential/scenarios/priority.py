"""Priority queues: levels, order, limits, expiry, prefetch."""

from letters import SHORT, dead_letters, fetch, get, sleep_ms, take
from registry import each, scenario


def levels(s, top=5, ch=None, **arguments):
    ch = ch or s.channel()
    a = dict({"x-max-priority": top}, **{k.replace("_", "-"): v for k, v in arguments.items()})
    return ch, ch.declare(s.q(), durable=1, arguments=a)


def fill(ch, q, priorities, **props):
    """One message per priority; None: no priority."""
    for i, p in enumerate(priorities):
        ch.publish(q, "m%d" % i, **(props if p is None else dict(props, priority=p)))
    ch.fence(q)


def drain(ch, q):
    while get(ch, q, no_ack=1):
        continue


@each("priority/order", {
    "ascending": [0, 1, 2, 3], "descending": [3, 2, 1, 0], "mixed": [1, 3, 0, 3, 1, 5, 2],
    "absent-is-zero": [0, None, 0, None, 1], "clamped": [4, 5, 6, 255, 5, 4],
    "all-equal": [2, 2, 2, 2], "within-a-level": [1, 2, 1, 2, 1, 2]})
def order(s, priorities):
    ch, q = levels(s)
    fill(ch, q, priorities)
    drain(ch, q)


@each("priority/order-persistent", {"mixed": [1, 3, 0, None, 3, 1, 5, 2]})
def order_persistent(s, priorities):
    ch, q = levels(s)
    fill(ch, q, priorities, delivery_mode=2)
    drain(ch, q)


@each("priority/levels", {"zero": 0, "one": 1, "ten": 10, "most": 255})
def levels_of(s, top):
    ch, q = levels(s, top)
    fill(ch, q, [0, 1, 2, 9, 10, 11, 254, 255])
    ch.until_ready(q, 8)
    ch.declare(q, passive=1)
    drain(ch, q)


@scenario("priority/none-declared")
def none_declared(s):
    ch = s.channel()
    q = ch.declare(s.q())
    fill(ch, q, [0, 5, 9, 1])
    drain(ch, q)


@scenario("priority/consumer-order")
def consumer_order(s):
    ch, q = levels(s)
    fill(ch, q, [0, 4, 2, 4, 0])
    ch.consume(q, "c")
    take(ch, 5)


@scenario("priority/prefetched-are-not-sorted-again")
def prefetched(s):
    ch, q = levels(s)
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(q, "c")
    fill(s.channel(), q, [1, 1, 2, 5, 3])
    take(ch, 2)
    ch.send("basic.ack", delivery_tag=0, multiple=1)
    take(ch, 2)
    ch.fence(q)


@scenario("priority/one-at-a-time")
def one_at_a_time(s):
    ch, q = levels(s)
    fill(ch, q, [1, 5, 3])
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    for late in (4, 2, None, None):
        tag = take(ch)
        if late is not None:
            ch.publish(q, "late%d" % late, priority=late)
            ch.fence(q)
        ch.send("basic.ack", delivery_tag=tag)
    take(ch)


@each("priority/requeue", {"reject": 1, "close": 0})
def requeue(s, by_reject):
    ch, q = levels(s)
    two = ch.conn.channel(2)
    fill(ch, q, [3, 1, 3, 1])
    for _ in range(3):
        get(ch, q)
    if by_reject:
        ch.send("basic.reject", delivery_tag=2, requeue=1)
        ch.send("basic.reject", delivery_tag=1, requeue=1)
        ch.fence(q)
    else:
        ch.close()
    two.until_ready(q, 3 if by_reject else 4)
    drain(two, q)


@each("priority/max-length", {
    "two": {"x_max_length": 2}, "zero": {"x_max_length": 0}, "bytes": {"x_max_length_bytes": 4},
    "reject": {"x_max_length": 2, "x_overflow": "reject-publish"}})
def max_length(s, arguments):
    for priorities in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 2, 0, 4, 2]):
        ch = s.channel()
        a = {k.replace("_", "-"): v for k, v in arguments.items()}
        q = ch.declare(s.q("q%d" % len(s.queues)), arguments=dict(a, **{"x-max-priority": 5}))
        fill(ch, q, priorities)
        ch.declare(q, passive=1)
        drain(ch, q)


@scenario("priority/counts")
def counts(s):
    ch, q = levels(s)
    fill(ch, q, [0, 1, 2, 3, 4, 5])
    ch.declare(q, passive=1)
    ch.get(q)
    ch.get(q)
    ch.call("queue.purge", queue=q)
    ch.get(q)
    ch.call("queue.delete", queue=q, if_empty=1)


@scenario("priority/delete-counts")
def delete_counts(s):
    ch, q = levels(s)
    fill(ch, q, [0, 1, 5])
    ch.call("queue.delete", queue=q)


@each("priority/expired", {"queue": ({"x_message_ttl": SHORT}, {}),
                           "message": ({}, {"expiration": str(SHORT)})}, slow=True)
def expired(s, row):
    ch, q = levels(s, **row[0])
    fill(ch, q, [3, 1, 0], **row[1])
    sleep_ms(3 * SHORT)
    get(ch, q)
    fill(ch, q, [2], **row[1])
    ch.until_ready(q, 0)


@scenario("priority/expired-behind-a-live-level", slow=True)
def expired_behind(s):
    ch, q = levels(s)
    ch.publish(q, "live", priority=4)
    ch.publish(q, "late", priority=1, expiration=str(SHORT))
    ch.publish(q, "low", priority=1)
    sleep_ms(3 * SHORT)
    ch.declare(q, passive=1)
    drain(ch, q)


@scenario("priority/dead-letters")
def dead(s):
    ch = s.channel()
    q, to = dead_letters(s, ch, {"x-max-priority": 5})
    fill(ch, q, [1, 4])
    for _ in range(2):
        ch.send("basic.reject", delivery_tag=get(ch, q), requeue=0)
    fetch(ch, to, 2)


@scenario("priority/dead-letters-into")
def dead_into(s):
    ch = s.channel()
    to = ch.declare(s.q("dead"), arguments={"x-max-priority": 5})
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": "",
                                           "x-dead-letter-routing-key": to, "x-message-ttl": 0})
    fill(ch, q, [1, 4, None, 2])
    ch.until_ready(to, 4)
    drain(ch, to)


@scenario("priority/confirms")
def confirms(s):
    ch, q = levels(s)
    ch.call("confirm.select")
    for i, p in enumerate((0, 5, 9, None, 3)):
        ch.publish(q, "m%d" % i, delivery_mode=2, **({} if p is None else {"priority": p}))
    ch.confirms(5)
    drain(ch, q)


@scenario("priority/tx")
def tx(s):
    ch, q = levels(s)
    ch.call("tx.select")
    for i, p in enumerate((1, 5, 3)):
        ch.publish(q, "m%d" % i, priority=p)
    ch.call("tx.commit")
    ch.fence(q)
    for _ in range(3):
        get(ch, q, no_ack=1)


@scenario("priority/redeclare-other")
def redeclare(s):
    ch, q = levels(s)
    ch.declare(q, durable=1, arguments={"x-max-priority": 6})
