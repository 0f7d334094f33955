"""Dead lettering: reasons, where it goes, what the message looks like, cycles, transactions."""

from letters import LONG, SHORT, dead_letters, fetch, get, sleep_ms, take
from registry import each, scenario


def reject(ch, q, count=1, how="basic.reject", **args):
    """Get so many messages, telling of them, and reject each."""
    for _ in range(count):
        tag = get(ch, q)
        if not tag:
            return
        ch.send(how, delivery_tag=tag, requeue=0, **args)


# ---- reasons ----

@each("dead-letter/rejected", {"reject": "basic.reject", "nack": "basic.nack"})
def rejected(s, how):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    ch.publish(q, "m")
    ch.fence(q)
    reject(ch, q, how=how)
    fetch(ch, dead)
    ch.get(dead)
    ch.get(q)


@each("dead-letter/rejected-many", {"upto": 2, "all": 0})
def rejected_many(s, tag):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    for i in range(3):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    for _ in range(3):
        ch.get(q)
    ch.send("basic.nack", delivery_tag=tag, multiple=1, requeue=0)
    fetch(ch, dead, tag or 3)
    ch.fence(dead)
    ch.get(dead)


@scenario("dead-letter/rejected-by-consumer")
def rejected_consumer(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(q, "c")
    for i in range(3):
        ch.publish(q, "m%d" % i)
    for i in range(3):
        ch.send("basic.reject", delivery_tag=take(ch), requeue=0)
    fetch(ch, dead, 3)


@each("dead-letter/expired", {
    "queue": ({"x-message-ttl": SHORT}, {}), "message": ({}, {"expiration": str(SHORT)}),
    "both": ({"x-message-ttl": SHORT}, {"expiration": str(LONG)}),
    "zero": ({"x-message-ttl": 0}, {}), "message-zero": ({}, {"expiration": "0"}),
    "persistent": ({"x-message-ttl": SHORT}, {"delivery_mode": 2})}, slow=True)
def expired(s, row):
    ch = s.channel()
    q, dead = dead_letters(s, ch, row[0], durable=1)
    ch.publish(q, "m0", **row[1])
    ch.publish(q, "m1", **row[1])
    fetch(ch, dead, 2)
    ch.get(dead)


@each("dead-letter/expired-requeued", {
    "queue": ({"x-message-ttl": SHORT}, {}), "message": ({}, {"expiration": str(SHORT)})},
    slow=True)
def expired_requeued(s, row):
    ch = s.channel()
    q, dead = dead_letters(s, ch, row[0])
    ch.consume(q, "c")
    ch.publish(q, "m", **row[1])
    tag = take(ch)
    ch.call("basic.cancel", consumer_tag="c")
    sleep_ms(3 * SHORT)
    ch.send("basic.reject", delivery_tag=tag, requeue=1)
    fetch(ch, dead)


@each("dead-letter/maxlen", {
    "drop-head": ({"x-max-length": 2}, 5), "bytes": ({"x-max-length-bytes": 4}, 5),
    "zero": ({"x-max-length": 0}, 2),
    "reject-publish-dlx": ({"x-max-length": 2, "x-overflow": "reject-publish-dlx"}, 4),
    "reject-publish-dlx-bytes": ({"x-max-length-bytes": 4, "x-overflow": "reject-publish-dlx"}, 4),
    "priorities": ({"x-max-length": 2, "x-max-priority": 4}, 5)})
def maxlen(s, row):
    ch = s.channel()
    q, dead = dead_letters(s, ch, row[0])
    for i in range(row[1]):
        ch.publish(q, "m%d" % i, priority=i)
    left = min(2, row[0].get("x-max-length", 2))
    fetch(ch, dead, row[1] - left)
    ch.fence(q)
    fetch(ch, q, left)
    ch.get(q)
    ch.get(dead)


@scenario("dead-letter/maxlen/reject-publish-does-not")
def maxlen_reject(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch, {"x-max-length": 1, "x-overflow": "reject-publish"})
    ch.publish(q, "m0")
    ch.publish(q, "m1")
    ch.fence(q)
    ch.fence(dead)
    ch.get(dead)


@scenario("dead-letter/maxlen/requeue-over-the-limit")
def maxlen_requeue(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch, {"x-max-length": 2})
    ch.publish(q, "m0")
    ch.publish(q, "m1")
    ch.fence(q)
    ch.get(q)
    ch.get(q)
    for i in range(2, 4):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    ch.send("basic.nack", delivery_tag=0, multiple=1, requeue=1)
    fetch(ch, dead, 2)
    fetch(ch, q, 2)


# What is done to three messages, the first of them handed out: none is a death.
@each("dead-letter/not-for", {
    "ack": lambda ch, q: ch.send("basic.ack", delivery_tag=1),
    "requeue": lambda ch, q: ch.send("basic.reject", delivery_tag=1, requeue=1),
    "recover": lambda ch, q: ch.call("basic.recover", requeue=1),
    "purge": lambda ch, q: ch.call("queue.purge", queue=q),
    "delete": lambda ch, q: ch.call("queue.delete", queue=q),
    "channel-close": lambda ch, q: ch.close()})
def not_for(s, act):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    two = ch.conn.channel(2)
    for i in range(3):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    ch.get(q)
    act(ch, q)
    two.fence(dead)
    two.get(dead)


@scenario("dead-letter/not-for/reject-after-delete")
def reject_after_delete(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    ch.publish(q, "m")
    ch.fence(q)
    ch.get(q)
    ch.call("queue.delete", queue=q)
    ch.send("basic.reject", delivery_tag=1, requeue=0)
    ch.fence(dead)
    ch.get(dead)


# ---- whole headers, recorded: what differs between versions ----

@each("dead-letter/headers", {
    "plain": {}, "expiration": {"expiration": str(LONG)},
    "own": {"headers": {"b": 1, "a": "x", "c": [1, {"z": True}]}},
    "properties": {"content_type": "text/plain", "content_encoding": "utf-8", "delivery_mode": 2,
                   "priority": 7, "correlation_id": "c", "reply_to": "r", "expiration": "60000",
                   "message_id": "m", "timestamp": 1234567890, "type": "t", "user_id": "guest",
                   "app_id": "a", "cluster_id": "cl"}})
def whole_headers(s, props):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    ch.publish(q, "m", **props)
    ch.fence(q)
    reject(ch, q)
    ch.until_ready(dead, 1)
    ch.get(dead)


@scenario("dead-letter/headers/second-death")
def whole_second(s):
    ch = s.channel()
    last = ch.declare(s.q("last"))
    mid = ch.declare(s.q("mid"), arguments={"x-dead-letter-exchange": "",
                                            "x-dead-letter-routing-key": last})
    ch.exchange(s.x("to-mid"), "fanout")
    ch.bind(mid, s.exchanges[-1])
    first = ch.declare(s.q("first"), arguments={"x-message-ttl": 0,
                                                "x-dead-letter-exchange": s.exchanges[-1]})
    ch.publish(first, "m")
    ch.until_ready(mid, 1)
    reject(ch, mid)
    ch.until_ready(last, 1)
    ch.get(last)


# ---- what stays of a message ----

@each("dead-letter/keeps", {
    "delivery-mode-2": {"delivery_mode": 2}, "delivery-mode-1": {"delivery_mode": 1},
    "priority": {"priority": 5}, "reply-to": {"reply_to": "somewhere"}, "none": {},
    "types": {"headers": {"b": ("b", -1), "B": ("B", 1), "s": ("s", 1), "u": ("u", 1), "I": 1,
              "i": ("i", 1), "l": ("l", 1), "f": ("f", 1.5), "d": 1.5, "t": True, "V": None,
              "x": ("x", "ab"), "T": ("T", 5), "D": ("D", (1, 5)), "F": {"k": "v"}, "A": [1, "a"]}},
    "empty-headers": {"headers": {}},
    "own-death-names": {"headers": {"x-first-death-queue": "mine", "x-other": 1}}})
def keeps(s, props):
    ch = s.channel()
    q, dead = dead_letters(s, ch, {"x-message-ttl": 0})
    ch.publish(q, "m", **props)
    fetch(ch, dead)


@each("dead-letter/body", {"empty": "", "large": "b" * 300000})
def body(s, body):
    ch = s.channel()
    q, dead = dead_letters(s, ch, {"x-message-ttl": 0})
    ch.publish(q, body)
    fetch(ch, dead)


DEATH = {"count": ("l", 7), "reason": "rejected", "queue": "other", "time": ("T", 1),
         "exchange": "e", "routing-keys": ["k"]}


@each("dead-letter/client-writes", {
    "x-death": {"x-death": [DEATH]}, "x-death-string": {"x-death": "x"}, "x-death-empty": {
        "x-death": []},
    "first-death": {"x-first-death-reason": "mine", "x-first-death-queue": "mine",
                    "x-first-death-exchange": "mine"}})
def client_writes(s, headers):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    ch.publish(q, "m", headers=headers)
    ch.fence(q)
    reject(ch, q)
    fetch(ch, dead)


@scenario("dead-letter/redelivered-is-fresh")
def redelivered(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    ch.publish(q, "m")
    ch.fence(q)
    ch.get(q)
    ch.send("basic.reject", delivery_tag=1, requeue=1)
    ch.until_ready(q, 1)
    reject(ch, q)
    fetch(ch, dead)


@scenario("dead-letter/expiration-does-not-count-again", slow=True)
def expiration_once(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    ch.publish(q, "m", expiration=str(SHORT))
    ch.fence(q)
    ch.until_ready(dead, 1)
    sleep_ms(3 * SHORT)
    fetch(ch, dead)


# ---- routing keys ----

# Headers and the dead-letter routing key; where the keys lead is seen from the queues bound.
@each("dead-letter/keys", {
    "original": ({}, None), "cc": ({"CC": ["cc1", "cc2"]}, None), "fixed": ({}, "fixed"),
    "cc-and-fixed": ({"CC": ["cc1", "cc2"]}, "fixed"), "bcc": ({"BCC": ["cc1"]}, None),
    "cc-and-bcc": ({"CC": ["cc1"], "BCC": ["cc2"]}, None),
    "bcc-and-fixed": ({"BCC": ["cc1"]}, "fixed"), "fixed-empty": ({}, "")})
def keys(s, row):
    headers, fixed = row
    ch, x, dlx = s.channel(), s.x("in"), s.x("dlx")
    ch.exchange(x, "direct")
    ch.exchange(dlx, "direct")
    arguments = {"x-dead-letter-exchange": dlx, "x-message-ttl": 0}
    if fixed is not None:
        arguments["x-dead-letter-routing-key"] = fixed
    q = ch.declare(s.q("work"), arguments=arguments)
    ch.bind(q, x, "key")
    outs = {}
    for key in ("key", "cc1", "cc2", "fixed", ""):
        outs[key] = ch.declare(s.q("on-" + (key or "empty")))
        ch.bind(outs[key], dlx, key)
    ch.publish("key", "m", x, headers=headers)
    ch.fence(q)
    for key in outs:
        ch.fence(outs[key])
    for key in outs:
        s.log("= by key %s" % (key or "empty"))
        get(ch, outs[key], no_ack=1)


@each("dead-letter/keys-again", {
    "bcc": ({"BCC": ["last"]}, None), "fixed": ({"BCC": ["last"]}, "key"),
    "many": ({"CC": ["cc%d" % n for n in range(70)] + ["last"]}, None)})
def keys_again(s, row):
    """What the keys of a message are when it dies twice; the last of many counts, too."""
    headers, fixed = row
    ch, one, two = s.channel(), s.x("one"), s.x("two")
    ch.exchange(one, "fanout")
    ch.exchange(two, "direct")
    arguments = {"x-dead-letter-exchange": one, "x-message-ttl": 0}
    if fixed is not None:
        arguments["x-dead-letter-routing-key"] = fixed
    first = ch.declare(s.q("first"), arguments=arguments)
    second = ch.declare(s.q("second"), arguments={"x-dead-letter-exchange": two})
    ch.bind(second, one)
    outs = [ch.declare(s.q("on-" + key)) for key in ("first", "last", "key")]
    for out, key in zip(outs, (first, "last", "key")):
        ch.bind(out, two, key)
    ch.publish(first, "m", headers=headers)
    ch.until_ready(second, 1)
    reject(ch, second)
    ch.until_ready(outs[2 if fixed else 1], 1)
    for out in outs:
        get(ch, out, no_ack=1)


@scenario("dead-letter/keys/cc-second-death")
def cc_second(s):
    """After a fixed key the CC keys are history; without one they are used again."""
    for fixed in (None, "k"):
        ch, name = s.channel(), fixed or "none"
        x, dlx = s.x("in-" + name), s.x("dlx-" + name)
        ch.exchange(x, "direct")
        ch.exchange(dlx, "fanout")
        arguments = {"x-dead-letter-exchange": dlx, "x-message-ttl": 0}
        if fixed:
            arguments["x-dead-letter-routing-key"] = fixed
        q = ch.declare(s.q("work-" + name), arguments=arguments)
        ch.bind(q, x, "key")
        last = ch.declare(s.q("last-" + name))
        out = s.x("out-" + name)
        ch.exchange(out, "direct")
        for key in ("key", "cc1", "k"):
            ch.bind(ch.declare(s.q("%s-%s" % (name, key))), out, key)
        mid = ch.declare(s.q("mid-" + name), arguments={"x-dead-letter-exchange": out})
        ch.bind(mid, dlx)
        ch.publish("key", "m", x, headers={"CC": ["cc1"]})
        ch.until_ready(mid, 1)
        reject(ch, mid)
        for key in (("k",) if fixed else ("key", "cc1")):
            fetch(ch, s.queues[-4 + ("key", "cc1", "k").index(key)])
        ch.declare(s.queues[-3], passive=1)
        ch.get(last)


# ---- exchanges ----

@each("dead-letter/to", {
    "topic": ("topic", "a.b", "a.#"), "fanout": ("fanout", "k", ""), "direct": ("direct", "k", "k"),
    "headers": ("headers", "k", "")})
def to_type(s, row):
    kind, key, binding = row
    ch, dlx, dead = s.channel(), s.x("dlx"), s.q("dead")
    ch.exchange(dlx, kind)
    ch.declare(dead)
    ch.bind(dead, dlx, binding, {"x-match": "all", "h": 1} if kind == "headers" else None)
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": dlx, "x-message-ttl": 0,
                                           "x-dead-letter-routing-key": key})
    ch.publish(q, "m", headers={"h": 1})
    fetch(ch, dead)


@scenario("dead-letter/to/internal-exchange")
def to_internal(s):
    ch, dlx = s.channel(), s.x("dlx")
    dead = ch.declare(s.q("dead"))
    ch.exchange(dlx, "fanout", internal=1)
    ch.bind(dead, dlx)
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": dlx, "x-message-ttl": 0})
    ch.publish(q, "m")
    fetch(ch, dead)


@scenario("dead-letter/to/bound-exchange")
def to_bound(s):
    ch, dlx, next_ = s.channel(), s.x("dlx"), s.x("next")
    dead = ch.declare(s.q("dead"))
    ch.exchange(dlx, "fanout")
    ch.exchange(next_, "topic")
    ch.call("exchange.bind", destination=next_, source=dlx)
    ch.bind(dead, next_, "#")
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": dlx, "x-message-ttl": 0})
    ch.publish(q, "m")
    fetch(ch, dead)


@scenario("dead-letter/to/alternate-exchange")
def to_alternate(s):
    ch, dlx, other = s.channel(), s.x("dlx"), s.x("other")
    dead = ch.declare(s.q("dead"))
    ch.exchange(other, "fanout")
    ch.bind(dead, other)
    ch.exchange(dlx, "direct", arguments={"alternate-exchange": other})
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": dlx, "x-message-ttl": 0})
    ch.publish(q, "m")
    fetch(ch, dead)


@scenario("dead-letter/to/many-queues")
def to_many(s):
    ch, dlx = s.channel(), s.x("dlx")
    ch.exchange(dlx, "fanout")
    deads = [ch.declare(s.q("dead%d" % i)) for i in range(3)]
    for dead in deads:
        ch.bind(dead, dlx)
        ch.bind(dead, dlx, "again")
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": dlx})
    ch.publish(q, "m")
    ch.fence(q)
    reject(ch, q)
    for dead in deads:
        fetch(ch, dead)
        ch.get(dead)


@scenario("dead-letter/to/missing-exchange")
def to_missing(s):
    ch, dlx = s.channel(), s.x("dlx")
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": dlx})
    for _ in range(2):
        ch.publish(q, "m")
    ch.fence(q)
    reject(ch, q)
    ch.fence(q)
    dead = ch.declare(s.q("dead"))
    ch.exchange(dlx, "fanout")
    ch.bind(dead, dlx)
    reject(ch, q)
    fetch(ch, dead)
    ch.get(dead)


@scenario("dead-letter/to/exchange-deleted")
def to_deleted(s):
    ch, dlx = s.channel(), s.x("dlx")
    dead = ch.declare(s.q("dead"))
    ch.exchange(dlx, "fanout")
    ch.bind(dead, dlx)
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": dlx})
    ch.publish(q, "m")
    ch.fence(q)
    ch.call("exchange.delete", exchange=dlx)
    reject(ch, q)
    ch.fence(q)
    ch.fence(dead)
    ch.get(dead)


@scenario("dead-letter/to/unroutable")
def to_unroutable(s):
    ch = s.channel()
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": "amq.direct",
                                           "x-dead-letter-routing-key": s.q("nobody")})
    ch.call("confirm.select")
    ch.publish(q, "m", mandatory=1)
    ch.confirms(1)
    reject(ch, q)
    ch.fence(q)


@each("dead-letter/to/full-queue", {
    "reject-publish": {"x-max-length": 1, "x-overflow": "reject-publish"},
    "drop-head": {"x-max-length": 1}})
def to_full(s, arguments):
    ch, dead = s.channel(), s.q("dead")
    ch.declare(dead, arguments=arguments)
    q = ch.declare(s.q("work"), arguments={"x-dead-letter-exchange": "", "x-message-ttl": 0,
                                           "x-dead-letter-routing-key": dead})
    ch.call("confirm.select")
    for i in range(3):
        ch.publish(q, "m%d" % i)
    ch.confirms(3)
    ch.fence(dead)
    fetch(ch, dead)
    ch.get(dead)


@scenario("dead-letter/to/a-consumer")
def to_consumer(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch, {"x-message-ttl": 0})
    ch.consume(dead, "c")
    for i in range(3):
        ch.publish(q, "m%d" % i)
    take(ch, 3)


@scenario("dead-letter/from/topic-exchange")
def from_topic(s):
    ch, x = s.channel(), s.x()
    q, dead = dead_letters(s, ch, {"x-message-ttl": 0})
    ch.exchange(x, "topic")
    ch.bind(q, x, "*.orange.*")
    ch.publish("a.orange.b", "m", x)
    fetch(ch, dead)


# ---- again and again ----

@scenario("dead-letter/cycle/expired-to-itself-is-dropped", slow=True)
def cycle_expired(s):
    ch = s.channel()
    q = ch.declare(s.q(), arguments={"x-dead-letter-exchange": "", "x-message-ttl": SHORT})
    ch.publish(q, "m")
    ch.fence(q)
    ch.until_ready(q, 0)
    ch.get(q)


@scenario("dead-letter/cycle/rejected-to-itself-comes-again")
def cycle_rejected(s):
    ch = s.channel()
    q = ch.declare(s.q(), arguments={"x-dead-letter-exchange": ""})
    ch.publish(q, "m")
    ch.fence(q)
    for _ in range(3):
        reject(ch, q)
        ch.until_ready(q, 1)
    get(ch, q)


@scenario("dead-letter/cycle/of-two-queues-is-dropped", slow=True)
def cycle_two(s):
    ch, a, b = s.channel(), s.q("a"), s.q("b")
    for q, other in ((a, b), (b, a)):
        ch.declare(q, arguments={"x-dead-letter-exchange": "", "x-message-ttl": SHORT,
                                 "x-dead-letter-routing-key": other})
    ch.publish(a, "m")
    ch.fence(a)
    ch.until_ready(b, 1)
    ch.until_ready(b, 0)
    ch.fence(a)
    ch.get(a)


@scenario("dead-letter/cycle/others-still-get-it", slow=True)
def cycle_others(s):
    ch, dlx = s.channel(), s.x("dlx")
    ch.exchange(dlx, "fanout")
    q = ch.declare(s.q(), arguments={"x-dead-letter-exchange": dlx, "x-message-ttl": SHORT})
    other = ch.declare(s.q("other"))
    ch.bind(q, dlx)
    ch.bind(other, dlx)
    ch.publish(q, "m")
    fetch(ch, other)
    ch.until_ready(q, 0)
    ch.get(q)
    ch.get(other)


@scenario("dead-letter/cycle/maxlen-to-itself-is-dropped")
def cycle_maxlen(s):
    ch = s.channel()
    q = ch.declare(s.q(), arguments={"x-dead-letter-exchange": "", "x-max-length": 1})
    for i in range(3):
        ch.publish(q, "m%d" % i)
    ch.fence(q)
    fetch(ch, q)
    ch.get(q)


# Every path that meets no queue twice is taken: so many deaths, each of which the watcher sees.
@each("dead-letter/cycle/all-to-all", {"three": (3, 5), "six": (6, 326)}, slow=True)
def cycle_all(s, row):
    count, seen = row
    ch, dlx = s.channel(), s.x("dlx")
    ch.exchange(dlx, "fanout")
    watcher = ch.declare(s.q("watcher"))
    ch.bind(watcher, dlx)
    for i in range(count):
        ch.bind(ch.declare(s.q("q%d" % i), arguments={"x-dead-letter-exchange": dlx,
                                                      "x-message-ttl": 0}), dlx)
    ch.publish(s.queues[1], "m")
    ch.until_ready(watcher, seen)
    ch.fence(watcher)
    ch.declare(watcher, passive=1)


def retry(s, ch):
    """Work queue and waiting queue, each the other's dead-letter target."""
    work, wait = s.q("work"), s.q("wait")
    ch.declare(work, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": wait})
    ch.declare(wait, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": work,
                                "x-message-ttl": 20})
    return work, wait


@each("dead-letter/retry", {"once": 1, "three-times": 3})
def retry_rounds(s, rounds):
    ch = s.channel()
    work, _ = retry(s, ch)
    ch.consume(work, "c")
    ch.publish(work, "m", headers={"own": 1})
    for _ in range(rounds):
        ch.send("basic.nack", delivery_tag=take(ch), requeue=0)
    ch.send("basic.ack", delivery_tag=take(ch))
    ch.fence(work)


@scenario("dead-letter/retry/message-ttl")
def retry_message_ttl(s):
    ch, work, wait = s.channel(), s.q("work"), s.q("wait")
    ch.declare(work, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": wait})
    ch.declare(wait, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": work})
    ch.publish(wait, "m", expiration="20")
    fetch(ch, work)
    ch.publish(wait, "m", expiration="30")
    ch.consume(work, "c")
    ch.send("basic.nack", delivery_tag=take(ch), requeue=0)
    ch.until_ready(wait, 1)
    fetch(ch, wait)


@scenario("dead-letter/retry/two-reasons-in-one-queue")
def two_reasons(s):
    ch = s.channel()
    q = ch.declare(s.q(), arguments={"x-dead-letter-exchange": "", "x-max-length": 1})
    dead = ch.declare(s.q("dead"))
    two = ch.conn.channel(2)
    ch.publish(q, "m")
    ch.fence(q)
    reject(ch, q)
    two.until_ready(q, 1)
    reject(ch, q)
    two.until_ready(q, 1)
    x = s.x()
    ch.exchange(x, "fanout")
    ch.bind(q, x)
    ch.bind(dead, "amq.direct", q)
    fetch(ch, q)
    ch.get(dead)


@each("dead-letter/chain", {"two": 2, "four": 4})
def chain(s, length):
    ch = s.channel()
    names = [s.q("q%d" % i) for i in range(length + 1)]
    for i in range(length):
        ch.declare(names[i], arguments={"x-dead-letter-exchange": "", "x-message-ttl": 0,
                                        "x-dead-letter-routing-key": names[i + 1]})
    ch.declare(names[length])
    ch.publish(names[0], "m", expiration="5000")
    fetch(ch, names[length])


# ---- transactions and confirms ----

@each("dead-letter/tx", {"commit": "tx.commit", "rollback": "tx.rollback"})
def tx_reject(s, end):
    ch = s.channel()
    q, dead = dead_letters(s, ch)
    ch.publish(q, "m")
    ch.fence(q)
    ch.call("tx.select")
    reject(ch, q)
    ch.fence(dead)
    ch.get(dead, no_ack=1)
    ch.call(end)
    if end == "tx.commit":
        fetch(ch, dead)
    ch.fence(dead)
    ch.get(dead, no_ack=1)


@scenario("dead-letter/tx/publish-to-a-full-queue")
def tx_full(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch, {"x-max-length": 1})
    ch.call("tx.select")
    for i in range(3):
        ch.publish(q, "m%d" % i)
    ch.fence(dead)
    ch.get(dead)
    ch.call("tx.commit")
    fetch(ch, dead, 2)


@scenario("dead-letter/tx/publish-with-ttl-zero")
def tx_ttl(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch, {"x-message-ttl": 0})
    ch.call("tx.select")
    ch.publish(q, "m")
    ch.call("tx.commit")
    fetch(ch, dead)


@each("dead-letter/confirmed", {"zero-ttl": {"x-message-ttl": 0},
                                "max-length": {"x-max-length": 0}})
def confirmed(s, arguments):
    ch = s.channel()
    q, dead = dead_letters(s, ch, arguments, durable=1)
    ch.call("confirm.select")
    for i in range(3):
        ch.publish(q, "m%d" % i, delivery_mode=2)
    ch.confirms(3)
    fetch(ch, dead, 3)


# ---- from where ----

@scenario("dead-letter/order-kept")
def order(s):
    ch = s.channel()
    q, dead = dead_letters(s, ch, {"x-max-length": 3})
    for i in range(12):
        ch.publish(q, "m%d" % i)
    fetch(ch, dead, 9)


@scenario("dead-letter/exclusive-queues")
def exclusive(s):
    ch = s.channel()
    dead = ch.declare("", exclusive=1)
    q = ch.declare("", exclusive=1, arguments={"x-dead-letter-exchange": "",
                                               "x-dead-letter-routing-key": dead})
    ch.publish(q, "m")
    ch.fence(q)
    reject(ch, q)
    was, ch.conn.quiet = ch.conn.quiet, True
    ch.until_ready(dead, 1)
    ch.conn.quiet = was
    ch.declare(dead, passive=1)


@each("dead-letter/settled-as", {"no-dlx-rejected": {}, "no-dlx-expired": {"x-message-ttl": 0},
                                 "no-dlx-maxlen": {"x-max-length": 0}})
def no_dlx(s, arguments):
    ch = s.channel()
    q = ch.declare(s.q(), arguments=arguments)
    ch.publish(q, "m")
    ch.fence(q)
    reject(ch, q)
    ch.fence(q)
    ch.get(q)
