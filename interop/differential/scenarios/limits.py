"""Length limits: what is dropped, refused, confirmed; by count and by bytes."""

from letters import SHORT, fetch, get
from registry import each, scenario


def limited(s, arguments, ch=None, **flags):
    ch = ch or s.channel()
    return ch, ch.declare(s.q(), arguments=arguments, **flags)


def fill(ch, q, count, start=1, **props):
    for i in range(start, start + count):
        ch.publish(q, "m%d" % i, **props)
    ch.fence(q)


def drain(ch, q):
    while get(ch, q, no_ack=1):
        continue


REJECT, REJECT_DLX = {"x-overflow": "reject-publish"}, {"x-overflow": "reject-publish-dlx"}

LIMITS = {"length": {"x-max-length": 3}, "length-one": {"x-max-length": 1},
          "length-zero": {"x-max-length": 0}, "bytes": {"x-max-length-bytes": 6},
          "bytes-between": {"x-max-length-bytes": 5}, "bytes-zero": {"x-max-length-bytes": 0},
          "both-length-first": {"x-max-length": 2, "x-max-length-bytes": 1000},
          "both-bytes-first": {"x-max-length": 100, "x-max-length-bytes": 4},
          "not-reached": {"x-max-length": 100}}


@each("limits/drop-head", LIMITS)
def drop_head(s, arguments):
    ch, q = limited(s, arguments)
    fill(ch, q, 5)
    ch.declare(q, passive=1)
    drain(ch, q)


@each("limits/reject-publish", LIMITS)
def reject_publish(s, arguments):
    ch, q = limited(s, dict(arguments, **REJECT))
    fill(ch, q, 5)
    ch.declare(q, passive=1)
    drain(ch, q)


@each("limits/reject-publish-dlx", LIMITS)
def reject_publish_dlx(s, arguments):
    ch = s.channel()
    dead = ch.declare(s.q("dead"))
    _, q = limited(s, dict(arguments, **dict(REJECT_DLX, **{
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})), ch)
    fill(ch, q, 5)
    ch.fence(dead)
    drain(ch, q)
    drain(ch, dead)


@each("limits/confirms", {
    "drop-head": {"x-max-length": 2}, "reject-publish": dict(REJECT, **{"x-max-length": 2}),
    "reject-publish-dlx": dict(REJECT_DLX, **{"x-max-length": 2}),
    "reject-bytes": dict(REJECT, **{"x-max-length-bytes": 4}),
    "drop-head-zero": {"x-max-length": 0}, "reject-zero": dict(REJECT, **{"x-max-length": 0})})
def confirms(s, arguments):
    for mode in (1, 2):
        ch = s.channel()
        ch.call("confirm.select")
        q = ch.declare(s.q("q%d" % mode), durable=1, arguments=arguments)
        for i in range(5):
            ch.publish(q, "m%d" % i, delivery_mode=mode)
            ch.confirms(i + 1, i)
        drain(ch, q)
        ch.publish(q, "again", delivery_mode=mode)
        ch.confirms(6, 5)


@scenario("limits/confirms/pipelined")
def confirms_pipelined(s):
    ch, q = limited(s, dict(REJECT, **{"x-max-length": 3}))
    ch.call("confirm.select")
    for i in range(10):
        ch.publish(q, "m%d" % i)
    ch.confirms(10)
    drain(ch, q)


@each("limits/confirms/of-two-queues", {"one-full": 1, "both-full": 2})
def two_queues(s, full):
    ch, x = s.channel(), s.x()
    ch.exchange(x, "fanout")
    queues = []
    for i in range(2):
        a = dict(REJECT, **{"x-max-length": 1}) if i < full else None
        queues.append(ch.declare(s.q("q%d" % i), arguments=a))
        ch.bind(queues[-1], x)
    ch.call("confirm.select")
    for i in range(3):
        ch.publish("", "m%d" % i, x)
        ch.confirms(i + 1, i)
    for q in queues:
        drain(ch, q)


@scenario("limits/reject-is-not-returned")
def not_returned(s):
    ch, q = limited(s, dict(REJECT, **{"x-max-length": 1}))
    ch.call("confirm.select")
    for i in range(2):
        ch.publish(q, "m%d" % i, mandatory=1)
        ch.confirms(i + 1, i)
    ch.fence(q)


@each("limits/tx", {"drop-head": {"x-max-length": 1},
                    "reject-publish": dict(REJECT, **{"x-max-length": 1})})
def tx(s, arguments):
    ch, q = limited(s, arguments)
    other = s.channel()
    ch.call("tx.select")
    for i in range(3):
        ch.publish(q, "m%d" % i)
    ch.call("tx.commit")
    other.fence(q)
    drain(other, q)


@scenario("limits/tx/acks-of-a-failed-commit")
def tx_failed(s):
    ch, q = limited(s, dict(REJECT, **{"x-max-length": 1}))
    other = s.channel()
    full = ch.declare(s.q("other"))
    ch.publish(full, "held")
    ch.fence(full)
    ch.call("tx.select")
    get(ch, full)
    ch.send("basic.ack", delivery_tag=1)
    ch.publish(q, "m1")
    ch.publish(q, "m2")
    ch.call("tx.commit")
    other.fence(q)
    drain(other, q)


# ---- what counts ----

@each("limits/unacked-do-not-count", {"drop-head": {"x-max-length": 2},
                                      "reject": dict(REJECT, **{"x-max-length": 2}),
                                      "bytes": {"x-max-length-bytes": 4},
                                      "reject-bytes": dict(REJECT, **{"x-max-length-bytes": 4})})
def unacked(s, arguments):
    ch, q = limited(s, arguments)
    fill(ch, q, 2)
    get(ch, q)
    get(ch, q)
    fill(ch, q, 3, 3)
    ch.declare(q, passive=1)
    drain(ch, q)


@each("limits/requeue-over-the-limit", {"drop-head": {"x-max-length": 2},
                                        "reject": dict(REJECT, **{"x-max-length": 2}),
                                        "reject-dlx": dict(REJECT_DLX, **{"x-max-length": 2}),
                                        "bytes": {"x-max-length-bytes": 4},
                                        "one": {"x-max-length": 1}})
def requeue(s, arguments):
    ch, q = limited(s, arguments)
    two = ch.conn.channel(2)
    fill(ch, q, 2)
    get(ch, q)
    get(ch, q)
    fill(ch, q, 2, 3)
    if not ch.dead():
        ch.close()
    two.fence(q)
    two.fence(q)
    drain(two, q)


@scenario("limits/requeue-some")
def requeue_some(s):
    ch, q = limited(s, {"x-max-length": 3})
    fill(ch, q, 3)
    for _ in range(2):
        get(ch, q)
    fill(ch, q, 1, 4)
    ch.send("basic.reject", delivery_tag=2, requeue=1)
    ch.fence(q)
    ch.send("basic.reject", delivery_tag=1, requeue=1)
    ch.fence(q)
    drain(ch, q)


@each("limits/with-a-consumer", {"zero": {"x-max-length": 0}, "one": {"x-max-length": 1},
                                 "bytes-zero": {"x-max-length-bytes": 0}})
def with_consumer(s, arguments):
    ch, q = limited(s, arguments)
    ch.consume(q, "c")
    for i in range(4):
        ch.publish(q, "m%d" % i)
    ch.deliver(4)


@each("limits/with-a-full-consumer", {"zero": {"x-max-length": 0}, "one": {"x-max-length": 1},
                                      "reject": dict(REJECT, **{"x-max-length": 1})})
def full_consumer(s, arguments):
    ch, q = limited(s, arguments)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    ch.publish(q, "m0")
    ch.deliver()
    for i in range(1, 4):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    ch.send("basic.ack", delivery_tag=1)
    if arguments["x-max-length"]:
        ch.deliver()
    ch.fence(q)


@each("limits/zero-and-requeue", {"drop-head": {"x-max-length": 0},
                                  "bytes": {"x-max-length-bytes": 0}})
def zero_requeue(s, arguments):
    ch, q = limited(s, arguments)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    ch.publish(q, "m")
    ch.deliver()
    ch.call("basic.cancel", consumer_tag="c")
    ch.send("basic.reject", delivery_tag=1, requeue=1)
    ch.fence(q)
    ch.get(q)


@each("limits/bytes", {"empty-bodies": ["", "", ""], "one-too-large": ["x" * 20],
                       "large-after-small": ["a", "b", "x" * 20], "small-after-large": [
                           "x" * 20, "a", "b"], "exactly": ["12345", "12345"],
                       "frees-several": ["1", "2", "3", "12345678"]})
def by_bytes(s, bodies):
    for overflow in ("drop-head", "reject-publish"):
        ch = s.channel()
        q = ch.declare(s.q(overflow), arguments={"x-max-length-bytes": 10, "x-overflow": overflow})
        for body in bodies:
            ch.publish(q, body)
        ch.fence(q)
        drain(ch, q)


@scenario("limits/bytes/headers-do-not-count")
def bytes_headers(s):
    ch, q = limited(s, {"x-max-length-bytes": 10})
    for i in range(2):
        ch.publish(q, "1234", headers={"large": "h" * 100})
    ch.fence(q)
    drain(ch, q)


# What makes room in a full queue.
@each("limits/room-again-after", {
    "get": lambda ch, q: get(ch, q), "purge": lambda ch, q: ch.call("queue.purge", queue=q),
    "consume": lambda ch, q: (ch.consume(q, "c"), ch.deliver(2))})
def room(s, act):
    ch, q = limited(s, dict(REJECT, **{"x-max-length": 2}))
    ch.call("confirm.select")
    for i in range(3):
        ch.publish(q, "m%d" % i)
        ch.confirms(i + 1, i)
    act(ch, q)
    ch.publish(q, "again")
    ch.confirms(4, 3)


@scenario("limits/with-ttl", slow=True)
def with_ttl(s):
    ch, q = limited(s, dict(REJECT, **{"x-max-length": 1, "x-message-ttl": SHORT}))
    ch.call("confirm.select")
    ch.publish(q, "m0")
    ch.publish(q, "m1")
    ch.confirms(2)
    ch.until_ready(q, 0)
    ch.publish(q, "m2")
    ch.confirms(3, 2)


@scenario("limits/persistent-survive-the-drop")
def persistent(s):
    ch, q = limited(s, {"x-max-length": 3}, durable=1)
    fill(ch, q, 20, delivery_mode=2)
    drain(ch, q)


@scenario("limits/many")
def many(s):
    ch, q = limited(s, {"x-max-length": 10})
    ch.conn.quiet = True
    for i in range(5000):
        ch.publish(q, "m%d" % i)
    ch.conn.quiet = False
    ch.fence(q)
    drain(ch, q)
    fetch(ch, q, 0)
