"""Publisher confirms and transactions."""

from registry import each, scenario


def confirming(s):
    ch = s.channel()
    ch.call("confirm.select")
    return ch, ch.declare(s.q(), durable=1)


# ---- confirms ----

@scenario("confirm/select-twice")
def select_twice(s):
    ch = s.channel()
    ch.call("confirm.select")
    ch.call("confirm.select")


@each("confirm/one", {"transient": {}, "persistent": {"delivery_mode": 2}})
def one(s, props):
    ch, q = confirming(s)
    ch.publish(q, "m", **props)
    ch.expect("basic.ack")
    ch.publish(q, "m", **props)
    ch.expect("basic.ack")


@each("confirm/many", {"transient": {}, "persistent": {"delivery_mode": 2}})
def many(s, props):
    ch, q = confirming(s)
    for _ in range(50):
        ch.publish(q, "m", **props)
    ch.confirms(50)
    ch.fence(q)
    ch.declare(q, passive=1)


@scenario("confirm/many-queues")
def many_queues(s):
    ch = s.channel()
    x = s.x()
    ch.exchange(x, "fanout")
    for i in range(5):
        ch.bind(ch.declare(s.q("q%d" % i), durable=i % 2), x)
    ch.call("confirm.select")
    for i in range(20):
        ch.publish("", "m", x, delivery_mode=1 + i % 2)
    ch.confirms(20)
    ch.fence()


@scenario("confirm/unroutable")
def unroutable(s):
    ch, _ = confirming(s)
    ch.publish("no-such-key", "m")
    ch.expect("basic.ack")


@scenario("confirm/unroutable-mandatory")
def unroutable_mandatory(s):
    ch, _ = confirming(s)
    ch.publish("no-such-key", "m", mandatory=1)
    ch.expect("basic.return")
    ch.expect("basic.ack")


@scenario("confirm/mixed-routable-and-not")
def mixed(s):
    ch, q = confirming(s)
    for i in range(10):
        ch.publish(q if i % 2 else "no-such-key", "m%d" % i, delivery_mode=2)
    ch.confirms(10)


@scenario("confirm/published-before-select-not-counted")
def before_select(s):
    ch = s.channel()
    q = ch.declare(s.q())
    ch.publish(q, "m")
    ch.call("confirm.select")
    ch.publish(q, "m")
    ch.expect("basic.ack")
    ch.fence(q)


@scenario("confirm/select-again-keeps-sequence")
def select_keeps(s):
    ch, q = confirming(s)
    ch.publish(q, "m")
    ch.expect("basic.ack")
    ch.call("confirm.select")
    ch.publish(q, "m")
    ch.expect("basic.ack")


@scenario("confirm/sequence-per-channel")
def per_channel(s):
    ch, q = confirming(s)
    two = ch.conn.channel(2)
    two.call("confirm.select")
    for c in (ch, ch, two):
        c.publish(q, "m")
        c.expect("basic.ack")


@scenario("confirm/sequence-restarts-on-new-channel")
def restarts(s):
    ch, q = confirming(s)
    ch.publish(q, "m")
    ch.expect("basic.ack")
    ch.close()
    ch = ch.conn.channel(1)
    ch.call("confirm.select")
    ch.publish(q, "m")
    ch.expect("basic.ack")


@scenario("confirm/missing-exchange")
def missing_exchange(s):
    ch, q = confirming(s)
    ch.publish(q, "m")
    ch.expect("basic.ack")
    ch.publish("k", "m", s.x())
    ch.wait("channel.close")


@scenario("confirm/bad-expiration-not-confirmed")
def bad_expiration(s):
    ch, q = confirming(s)
    ch.publish(q, "m", expiration="x")
    ch.wait("channel.close")


@scenario("confirm/with-consumer")
def with_consumer(s):
    ch, q = confirming(s)
    two = ch.conn.channel(2)
    two.consume(q, "c", no_ack=1)
    ch.publish(q, "m", delivery_mode=2)
    ch.expect("basic.ack")
    two.deliver()


@each("confirm/overflow", {"reject-publish": "reject-publish", "drop-head": "drop-head"})
def overflow(s, how):
    ch = s.channel()
    q = ch.declare(s.q(), arguments={"x-max-length": 1, "x-overflow": how})
    ch.call("confirm.select")
    for i in range(3):
        ch.publish(q, "m%d" % i)
        ch.confirms(i + 1, after=i)
    ch.get(q, no_ack=1)
    ch.get(q, no_ack=1)


@scenario("confirm/queue-deleted")
def queue_deleted(s):
    ch, q = confirming(s)
    ch.call("queue.delete", queue=q)
    ch.publish(q, "m")
    ch.expect("basic.ack")


@scenario("confirm/alternate-exchange-is-routed")
def alternate(s):
    ch, q = confirming(s)
    x, ae = s.x(), s.x("ae")
    ch.exchange(ae, "fanout")
    ch.exchange(x, arguments={"alternate-exchange": ae})
    ch.publish("k", "back", x, mandatory=1)
    ch.expect("basic.return")
    ch.expect("basic.ack")
    ch.bind(q, ae)
    ch.publish("k", "routed", x, mandatory=1)
    ch.expect("basic.ack")


@scenario("confirm/not-selected")
def not_selected(s):
    ch = s.channel()
    q = ch.declare(s.q())
    ch.publish(q, "m")
    ch.fence(q)


# ---- transactions ----

def transacted(s):
    ch = s.channel()
    q = ch.declare(s.q())
    ch.call("tx.select")
    return ch, q, ch.conn.channel(2)


@scenario("tx/select-twice")
def tx_select_twice(s):
    ch = s.channel()
    ch.call("tx.select")
    ch.call("tx.select")


@each("tx/not-selected", {"commit": "tx.commit", "rollback": "tx.rollback"})
def tx_not_selected(s, name):
    s.channel().call(name)


@scenario("tx/on-confirm-channel")
def tx_on_confirm(s):
    ch = s.channel()
    ch.call("confirm.select")
    ch.call("tx.select")


@scenario("tx/confirm-on-tx-channel")
def confirm_on_tx(s):
    ch = s.channel()
    ch.call("tx.select")
    ch.call("confirm.select")


@scenario("tx/empty")
def tx_empty(s):
    ch = s.channel()
    ch.call("tx.select")
    for name in ("tx.commit", "tx.rollback", "tx.commit"):
        ch.call(name)


@scenario("tx/commit-publishes")
def tx_commit(s):
    ch, q, two = transacted(s)
    for i in range(3):
        ch.publish(q, "m%d" % i)
    ch.fence()
    two.get(q)
    ch.call("tx.commit")
    for _ in range(4):
        two.get(q)


@scenario("tx/rollback-publishes")
def tx_rollback(s):
    ch, q, two = transacted(s)
    ch.publish(q, "gone")
    ch.call("tx.rollback")
    ch.publish(q, "kept")
    ch.call("tx.commit")
    two.get(q)
    two.get(q)


@scenario("tx/close-rolls-back")
def tx_close(s):
    ch, q, two = transacted(s)
    ch.publish(q, "gone")
    ch.close()
    two.get(q)


@scenario("tx/commit-acks")
def tx_commit_acks(s):
    ch, q, two = transacted(s)
    for i in range(2):
        two.publish(q, "m%d" % i)
    two.fence(q)
    ch.get(q)
    ch.send("basic.ack", delivery_tag=1)
    ch.get(q)
    ch.call("tx.commit")
    ch.close()
    two.until_ready(q, 1)
    two.get(q, no_ack=1)
    two.get(q)


@scenario("tx/rollback-acks")
def tx_rollback_acks(s):
    ch, q, two = transacted(s)
    two.publish(q, "m")
    two.fence(q)
    ch.get(q)
    ch.send("basic.ack", delivery_tag=1)
    ch.call("tx.rollback")
    ch.get(q)
    ch.send("basic.ack", delivery_tag=1)
    ch.call("tx.commit")
    ch.close()
    two.get(q)


@scenario("tx/uncommitted-acks-requeue-on-close")
def tx_close_acks(s):
    ch, q, two = transacted(s)
    two.publish(q, "m")
    two.fence(q)
    ch.get(q)
    ch.send("basic.ack", delivery_tag=1)
    ch.close()
    two.until_ready(q, 1)
    two.get(q)


@each("tx/rejects", {"requeue": 1, "drop": 0})
def tx_rejects(s, requeue):
    ch, q, two = transacted(s)
    two.publish(q, "m")
    two.fence(q)
    ch.get(q)
    ch.send("basic.reject", delivery_tag=1, requeue=requeue)
    ch.fence()
    two.get(q)
    ch.call("tx.commit")
    two.get(q)


@each("tx/double-ack", {"same-transaction": None, "next-transaction": "tx.commit"})
def tx_double_ack(s, between):
    ch, q, two = transacted(s)
    two.publish(q, "m")
    two.fence(q)
    ch.get(q)
    ch.send("basic.ack", delivery_tag=1)
    if between:
        ch.call(between)
    ch.send("basic.ack", delivery_tag=1)
    ch.fence()


@scenario("tx/unknown-tag")
def tx_unknown_tag(s):
    ch, _, _ = transacted(s)
    ch.send("basic.ack", delivery_tag=9)
    ch.wait("channel.close")


@scenario("tx/missing-exchange-at-once")
def tx_missing_exchange(s):
    ch, q, two = transacted(s)
    ch.publish(q, "before")
    ch.publish("k", "m", s.x())
    ch.wait("channel.close")
    two.get(q)


@scenario("tx/mandatory-returned-at-commit")
def tx_mandatory(s):
    ch, q, _ = transacted(s)
    ch.publish("no-such-key", "m", mandatory=1)
    ch.fence(note="before commit")
    ch.call("tx.commit")
    ch.publish("no-such-key", "m", mandatory=1)
    ch.call("tx.rollback")
    ch.fence()


@scenario("tx/queue-deleted-before-commit")
def tx_queue_deleted(s):
    ch, q, two = transacted(s)
    ch.publish(q, "m", mandatory=1)
    ch.fence()
    two.call("queue.delete", queue=q)
    ch.call("tx.commit")


@scenario("tx/bound-after-publish-before-commit")
def tx_bound_late(s):
    ch, q, two = transacted(s)
    ch.publish(q, "m", "amq.direct", mandatory=1)
    ch.fence()
    two.bind(q, "amq.direct", q)
    ch.call("tx.commit")
    two.get(q)


@scenario("tx/persistent")
def tx_persistent(s):
    ch = s.channel()
    q = ch.declare(s.q(), durable=1)
    ch.call("tx.select")
    for i in range(20):
        ch.publish(q, "m%d" % i, delivery_mode=2)
    ch.call("tx.commit")
    ch.declare(q, passive=1)


@scenario("tx/deliveries-not-held")
def tx_deliveries(s):
    ch, q, two = transacted(s)
    two.publish(q, "m")
    ch.consume(q, "c")
    ch.deliver()
    ch.call("tx.rollback")
    ch.fence(q)


@scenario("tx/other-methods-are-immediate")
def tx_declare(s):
    ch, q, two = transacted(s)
    other = ch.declare(s.q("other"))
    ch.call("tx.rollback")
    two.declare(other, passive=1)
