"""Getting, consuming, acknowledging, requeueing, prefetch, priorities, cancelling."""

from registry import each, scenario


def filled(s, count, ch=None, name="q", **flags):
    """A channel and an exclusive queue holding m1..mN."""
    ch = ch or s.channel()
    q = ch.declare(s.q(name), **(flags or {"exclusive": 1}))
    for i in range(1, count + 1):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    return ch, q


# ---- get ----

@scenario("get/until-empty")
def get_until_empty(s):
    ch, q = filled(s, 2)
    for _ in range(3):
        ch.get(q)


@scenario("get/no-ack")
def get_no_ack(s):
    ch, q = filled(s, 2)
    ch.get(q, no_ack=1)
    ch.get(q)
    ch.send("basic.ack", delivery_tag=2)
    ch.fence(q)
    ch.declare(q, passive=1)


@scenario("get/missing-queue")
def get_missing(s):
    s.channel().get(s.q())


@scenario("get/not-limited-by-qos")
def get_qos(s):
    ch, q = filled(s, 3)
    ch.call("basic.qos", prefetch_count=1, global_=1)
    for _ in range(3):
        ch.get(q)


@scenario("get/with-exclusive-consumer")
def get_exclusive(s):
    ch, q = filled(s, 0)
    ch.consume(q, "c", exclusive=1)
    ch.conn.channel(2).get(q)


# ---- consume ----

@scenario("consume/deliveries")
def consume(s):
    ch, q = filled(s, 3)
    ch.consume(q, "c")
    ch.deliver(3)
    ch.publish(q, "m4")
    ch.deliver()
    ch.fence(q)


@scenario("consume/server-tag")
def consume_server_tag(s):
    ch, q = filled(s, 1)
    tag = ch.consume(q, "")
    ch.deliver()
    ch.call("basic.cancel", consumer_tag=tag)


@scenario("consume/two-server-tags")
def consume_server_tags(s):
    ch, q = filled(s, 0)
    ch.consume(q, "")
    ch.consume(q, "")


@each("consume/tag", {"utf-8": "\u00e9\u20ac", "longest": "t" * 255, "spaces": " a b ",
        "amq": "amq.mine"})
def consume_tag(s, tag):
    ch, q = filled(s, 1)
    ch.consume(q, tag)
    ch.deliver()
    ch.call("basic.cancel", consumer_tag=tag)


@scenario("consume/missing-queue")
def consume_missing(s):
    s.channel().consume(s.q(), "c")


@scenario("consume/duplicate-tag")
def consume_duplicate(s):
    ch, q = filled(s, 0)
    ch.consume(q, "c")
    ch.send("basic.consume", queue=q, consumer_tag="c")
    ch.conn.closed()


@scenario("consume/duplicate-tag-other-queue")
def consume_duplicate_other(s):
    ch, q = filled(s, 0)
    ch.consume(q, "c")
    ch.send("basic.consume", queue=s.q("missing"), consumer_tag="c")
    ch.conn.closed()


@scenario("consume/same-tag-other-channel")
def consume_same_tag(s):
    ch, q = filled(s, 0)
    ch.consume(q, "c")
    ch.conn.channel(2).consume(q, "c")


@scenario("consume/tag-free-after-cancel")
def consume_tag_again(s):
    ch, q = filled(s, 0)
    for _ in range(2):
        ch.consume(q, "c")
        ch.call("basic.cancel", consumer_tag="c")


@scenario("consume/no-local-ignored")
def consume_no_local(s):
    ch, q = filled(s, 1)
    ch.consume(q, "c", no_local=1)
    ch.deliver()


@scenario("consume/no-ack")
def consume_no_ack(s):
    ch, q = filled(s, 3)
    ch.consume(q, "c", no_ack=1)
    ch.deliver(3)
    ch.declare(q, passive=1)
    ch.send("basic.ack", delivery_tag=1)
    ch.wait("channel.close")


@scenario("consume/no-ack-ignores-prefetch")
def consume_no_ack_prefetch(s):
    ch, q = filled(s, 4)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c", no_ack=1)
    ch.deliver(4)


@each("consume/exclusive", {
    "then-other": (1, 0), "after-other": (0, 1), "twice": (1, 1), "neither": (0, 0)})
def consume_exclusive(s, how):
    ch, q = filled(s, 0)
    ch.consume(q, "a", exclusive=how[0])
    ch.conn.channel(2).consume(q, "b", exclusive=how[1])


@scenario("consume/exclusive-free-after-cancel")
def consume_exclusive_free(s):
    ch, q = filled(s, 0)
    ch.consume(q, "a", exclusive=1)
    ch.call("basic.cancel", consumer_tag="a")
    ch.consume(q, "b")


@scenario("consume/round-robin")
def round_robin(s):
    ch, q = filled(s, 0)
    for tag in "abc":
        ch.consume(q, tag)
    for i in range(7):
        ch.publish(q, "m%d" % i)
        ch.deliver()


@scenario("consume/delivery-tags-shared")
def shared_tags(s):
    ch, q = filled(s, 1)
    ch.get(q)
    ch.consume(q, "a", no_ack=1)
    ch.publish(q, "to a")
    ch.deliver()
    ch.call("basic.cancel", consumer_tag="a")
    ch.publish(q, "got")
    ch.get(q)


# ---- priorities ----

@scenario("consume/priority")
def priority(s):
    ch, q = filled(s, 0)
    ch.call("basic.qos", prefetch_count=1)
    for tag, level in (("low", -1), ("none", None), ("high", 10)):
        ch.consume(q, tag, arguments=None if level is None else {"x-priority": level})
    for i in range(3):
        ch.publish(q, "m%d" % i)
        ch.deliver()
    ch.publish(q, "waits")
    ch.fence(q)
    ch.send("basic.ack", delivery_tag=2)
    ch.deliver()


@scenario("consume/priority-round-robin-within")
def priority_round_robin(s):
    ch, q = filled(s, 0)
    for tag, level in (("a", 5), ("b", 5), ("c", 1)):
        ch.consume(q, tag, arguments={"x-priority": level})
    for i in range(4):
        ch.publish(q, "m%d" % i)
        ch.deliver()


# ---- cancel ----

@scenario("cancel/unknown-tag")
def cancel_unknown(s):
    s.channel().call("basic.cancel", consumer_tag="nobody")


@scenario("cancel/empty-tag")
def cancel_empty(s):
    s.channel().call("basic.cancel")


@scenario("cancel/keeps-unacked")
def cancel_unacked(s):
    ch, q = filled(s, 2)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    ch.deliver()
    ch.call("basic.cancel", consumer_tag="c")
    ch.declare(q, passive=1)
    ch.send("basic.ack", delivery_tag=1)
    ch.fence(q)
    ch.get(q)


@scenario("cancel/nothing-after")
def cancel_nothing(s):
    ch, q = filled(s, 0)
    ch.consume(q, "c")
    ch.call("basic.cancel", consumer_tag="c")
    ch.publish(q, "stays")
    ch.fence(q)
    ch.get(q)


@scenario("cancel/other-channel")
def cancel_other(s):
    ch, q = filled(s, 0)
    ch.consume(q, "c")
    ch.conn.channel(2).call("basic.cancel", consumer_tag="c")
    ch.publish(q, "still delivered")
    ch.deliver()


@each("cancel/on-queue-delete", {"notified": True, "not-notified": False})
def cancel_delete(s, notify):
    a = s.channel(properties={"capabilities": {"consumer_cancel_notify": notify}})
    b = s.channel()
    q = a.declare(s.q())
    a.consume(q, "c")
    b.call("queue.delete", queue=q)
    if notify:
        a.expect("basic.cancel")
    a.fence()
    a.call("basic.cancel", consumer_tag="c")
    a.consume(a.declare(s.q("other"), exclusive=1), "c")


@scenario("cancel/on-queue-delete-same-channel")
def cancel_delete_same(s):
    ch, q = filled(s, 1)
    ch.consume(q, "c")
    ch.deliver()
    ch.send("queue.delete", queue=q)
    got = sorted(f.name for f in (ch.conn.next(1, ch.conn.sent_at + 5) for _ in range(2)) if f)
    ch.conn.log("= came, in either order: " + " ".join(got))
    ch.send("basic.ack", delivery_tag=1)
    ch.fence()


@scenario("cancel/on-queue-delete-two-consumers")
def cancel_delete_two(s):
    a, b = s.channel(), s.channel()
    q = b.declare(s.q())
    a.consume(q, "a")
    b.consume(q, "b")
    s.channel().call("queue.delete", queue=q)
    a.expect("basic.cancel")
    b.expect("basic.cancel")


@scenario("cancel/on-exclusive-queue-gone")
def cancel_exclusive_gone(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    two = ch.conn.channel(2)
    two.consume(q, "c")
    ch.call("queue.delete", queue=q)
    two.expect("basic.cancel")


# ---- qos ----

@each("qos/accepted", {
    "count": {"prefetch_count": 5}, "zero": {}, "global": {"prefetch_count": 5, "global_": 1},
    "largest": {"prefetch_count": 65535}})
def qos(s, args):
    ch = s.channel()
    ch.call("basic.qos", **args)
    ch.call("basic.qos", **args)


@each("qos/size", {"plain": {"prefetch_size": 10}, "global": {"prefetch_size": 1, "global_": 1},
                   "largest": {"prefetch_size": 2**32 - 1, "prefetch_count": 5}})
def qos_size(s, args):
    ch = s.channel()
    ch.send("basic.qos", **args)
    ch.conn.closed()


@scenario("qos/limits-deliveries")
def qos_limit(s):
    ch, q = filled(s, 5)
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(q, "c")
    ch.deliver(2)
    ch.fence(q)
    ch.send("basic.ack", delivery_tag=2)
    ch.deliver()
    ch.send("basic.ack", delivery_tag=3, multiple=1)
    ch.deliver(2)
    ch.fence(q)


@scenario("qos/reject-opens-window")
def qos_reject(s):
    ch, q = filled(s, 3)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    ch.deliver()
    ch.send("basic.reject", delivery_tag=1, requeue=0)
    ch.deliver()
    ch.send("basic.nack", delivery_tag=2, requeue=0)
    ch.deliver()


@scenario("qos/per-consumer")
def qos_per_consumer(s):
    ch = s.channel()
    _, a = filled(s, 3, ch, "a")
    _, b = filled(s, 3, ch, "b")
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(a, "one")
    ch.deliver()
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(b, "two")
    ch.deliver(2)
    ch.fence(a)
    ch.fence(b)


@scenario("qos/change-leaves-running-consumers")
def qos_change(s):
    ch, q = filled(s, 4)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    ch.deliver()
    ch.call("basic.qos", prefetch_count=10)
    ch.fence(q)


@scenario("qos/global-shared")
def qos_global(s):
    ch = s.channel()
    _, a = filled(s, 2, ch, "a")
    _, b = filled(s, 3, ch, "b")
    ch.call("basic.qos", prefetch_count=2, global_=1)
    ch.consume(a, "one")
    ch.deliver(2)
    ch.consume(b, "two")
    ch.fence(b)
    ch.send("basic.ack", delivery_tag=1)
    ch.deliver()


@scenario("qos/global-raised-at-once")
def qos_global_raise(s):
    ch, q = filled(s, 4)
    ch.call("basic.qos", prefetch_count=1, global_=1)
    ch.consume(q, "c")
    ch.deliver()
    ch.fence(q)
    ch.call("basic.qos", prefetch_count=3, global_=1)
    ch.deliver(2)
    ch.fence(q)
    ch.call("basic.qos", prefetch_count=0, global_=1)
    ch.deliver()


@scenario("qos/both-limits")
def qos_both(s):
    ch, q = filled(s, 5)
    ch.call("basic.qos", prefetch_count=3)
    ch.call("basic.qos", prefetch_count=2, global_=1)
    ch.consume(q, "c")
    ch.deliver(2)
    ch.fence(q)


@scenario("qos/global-counts-no-ack-not")
def qos_global_no_ack(s):
    ch, q = filled(s, 3)
    ch.call("basic.qos", prefetch_count=1, global_=1)
    ch.consume(q, "c", no_ack=1)
    ch.deliver(3)


# ---- settling ----

@each("settle/unknown-tag", {
    "ack": ("basic.ack", {"delivery_tag": 99}),
    "ack-multiple": ("basic.ack", {"delivery_tag": 99, "multiple": 1}),
    "ack-zero": ("basic.ack", {}), "reject": ("basic.reject", {"delivery_tag": 99, "requeue": 1}),
    "reject-zero": ("basic.reject", {"requeue": 1}), "nack": ("basic.nack", {"delivery_tag": 99}),
    "nack-multiple": ("basic.nack", {"delivery_tag": 99, "multiple": 1}),
    "nack-zero": ("basic.nack", {}),
    "largest": ("basic.ack", {"delivery_tag": 2**64 - 1})})
def unknown_tag(s, what):
    ch = s.channel()
    ch.send(what[0], **what[1])
    ch.fence()


@each("settle/zero-multiple", {"ack": ("basic.ack", {}), "nack": ("basic.nack", {"requeue": 1})})
def zero_multiple(s, what):
    ch, q = filled(s, 3)
    ch.send(what[0], delivery_tag=0, multiple=1, **what[1])
    ch.fence(note="with none outstanding")
    for _ in range(3):
        ch.get(q)
    ch.send(what[0], delivery_tag=0, multiple=1, **what[1])
    ch.fence(q)
    ch.declare(q, passive=1)


@each("settle/twice", {"ack": "basic.ack", "reject": "basic.reject", "nack": "basic.nack"})
def twice(s, name):
    ch, q = filled(s, 1)
    ch.get(q)
    ch.send("basic.ack", delivery_tag=1)
    ch.send(name, delivery_tag=1)
    ch.fence()


# Steps (method, tag, multiple, requeue); ready messages after them, and after the channel has gone.
@each("settle/multiple", {
    "all-below": ([("basic.ack", 3, 1, 0)], 0, 1),
    "settled-below": ([("basic.ack", 1, 0, 0), ("basic.ack", 3, 1, 0)], 0, 1),
    "of-settled": ([("basic.ack", 2, 0, 0), ("basic.ack", 2, 1, 0)], 3, 0),
    "single": ([("basic.ack", 2, 0, 0)], 0, 3), "beyond": ([("basic.ack", 5, 1, 0)], 4, 1),
    "nack-drop": ([("basic.nack", 2, 1, 0)], 0, 2),
    "nack-requeue": ([("basic.nack", 2, 1, 1)], 2, 2),
    "nack-single": ([("basic.nack", 3, 0, 1)], 1, 3),
    "out-of-order": ([("basic.ack", 4, 0, 0), ("basic.ack", 2, 0, 0), ("basic.ack", 3, 1, 0)], 0,
        0)})
def multiple(s, row):
    steps, ready, left = row
    ch, q = filled(s, 4)
    for _ in range(4):
        ch.get(q)
    for name, tag, many, requeue in steps:
        args = {"requeue": requeue} if name == "basic.nack" else {}
        ch.send(name, delivery_tag=tag, multiple=many, **args)
    ch.fence(q)
    other = ch.conn.channel(2)
    other.until_ready(q, ready)
    for _ in range(3):
        other.get(q, no_ack=1)
    if not ch.dead():
        ch.close()
    other.until_ready(q, left)
    for _ in range(5):
        other.get(q, no_ack=1)


@scenario("settle/tag-of-other-channel")
def other_channel(s):
    ch, q = filled(s, 1)
    ch.get(q)
    two = ch.conn.channel(2)
    two.send("basic.ack", delivery_tag=1)
    two.fence()
    ch.send("basic.ack", delivery_tag=1)
    ch.fence(q)


@scenario("settle/ack-after-queue-deleted")
def ack_deleted(s):
    ch, q = filled(s, 1)
    ch.get(q)
    ch.call("queue.delete", queue=q)
    ch.send("basic.ack", delivery_tag=1)
    ch.fence()


# ---- requeue order and flags ----

@each("requeue/order", {
    "reject-first": [("basic.reject", 1)], "reject-last": [("basic.reject", 3)],
    "backwards": [("basic.reject", 3), ("basic.reject", 2), ("basic.reject", 1)],
    "forwards": [("basic.reject", 1), ("basic.reject", 2), ("basic.reject", 3)],
    "middle-first": [("basic.nack", 2), ("basic.nack", 3), ("basic.nack", 1)]})
def requeue_order(s, steps):
    ch, q = filled(s, 5)
    for _ in range(3):
        ch.get(q)
    for name, tag in steps:
        ch.send(name, delivery_tag=tag, requeue=1)
    ch.fence(q)
    for _ in range(5):
        ch.get(q, no_ack=1)


@scenario("requeue/redelivered-stays")
def requeue_flag(s):
    ch, q = filled(s, 1)
    for tag in (1, 2, 3):
        ch.get(q)
        ch.send("basic.reject", delivery_tag=tag, requeue=1)
    ch.get(q)


@scenario("requeue/with-another-consumer-waiting")
def requeue_two(s):
    ch, q = filled(s, 1)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "a")
    ch.deliver()
    two = ch.conn.channel(2)
    two.consume(q, "b")
    two.fence(q)
    ch.send("basic.nack", delivery_tag=1, requeue=1)
    ch.deliver()
    two.fence(q)


@scenario("requeue/to-other-consumer")
def requeue_other(s):
    ch, q = filled(s, 1)
    ch.consume(q, "a")
    ch.deliver()
    ch.call("basic.cancel", consumer_tag="a")
    two = ch.conn.channel(2)
    two.consume(q, "b")
    ch.send("basic.nack", delivery_tag=1, requeue=1)
    two.deliver()


@scenario("requeue/to-same-consumer")
def requeue_same(s):
    ch, q = filled(s, 2)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "a")
    ch.deliver()
    ch.send("basic.nack", delivery_tag=1, requeue=1)
    ch.deliver()
    ch.send("basic.ack", delivery_tag=2)
    ch.deliver()


@scenario("requeue/reject-drops")
def reject_drops(s):
    ch, q = filled(s, 2)
    ch.get(q)
    ch.send("basic.reject", delivery_tag=1, requeue=0)
    ch.get(q)
    ch.get(q)


# ---- recover ----

@scenario("recover/requeue")
def recover(s):
    ch, q = filled(s, 3)
    ch.get(q)
    ch.get(q)
    ch.call("basic.recover", requeue=1)
    for _ in range(4):
        ch.get(q, no_ack=1)


@scenario("recover/ok-before-redelivery")
def recover_consumer(s):
    ch, q = filled(s, 2)
    ch.consume(q, "c")
    ch.deliver(2)
    ch.call("basic.recover", requeue=1)
    ch.deliver(2)
    ch.send("basic.ack", delivery_tag=1)
    ch.wait("channel.close")


@scenario("recover/async")
def recover_async(s):
    ch, q = filled(s, 2)
    ch.consume(q, "c")
    ch.deliver(2)
    ch.send("basic.recover-async", requeue=1)
    ch.deliver(2)
    ch.fence(q)


@scenario("recover/nothing-outstanding")
def recover_nothing(s):
    ch = s.channel()
    ch.call("basic.recover", requeue=1)
    ch.send("basic.recover-async", requeue=1)
    ch.fence()


@each("recover/no-requeue", {"sync": "basic.recover", "async": "basic.recover-async"})
def recover_no_requeue(s, name):
    ch = s.channel()
    ch.send(name, requeue=0)
    ch.conn.closed()
