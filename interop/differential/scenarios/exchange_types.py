"""Exchange types of the plugins that RabbitMQ ships: consistent hash, modulus hash, random, recent
history. The reference must have these plugins enabled. Which queue a hash or chance picks is the
server's own affair: the transcript has what must hold for any choice."""

from registry import each, scenario

CHASH, MODULUS, RANDOM, HISTORY = ("x-consistent-hash", "x-modulus-hash", "x-random",
                                   "x-recent-history")
LENGTH = "x-recent-history-length"
NO_STORE = "x-recent-history-no-store"


def spread(s, ch, x, kind, count, keys=None, **args):
    """The exchange and count queues bound to it."""
    ch.exchange(x, kind, **args)
    queues = [ch.declare(s.q("q%d" % i), exclusive=1) for i in range(count)]
    for i, q in enumerate(queues):
        ch.bind(q, x, keys[i] if keys else "1")
    return queues


def drain(ch, queues):
    """The bodies in each of the queues, which are empty afterwards; unrecorded."""
    ch.conn.quiet, out = True, []
    for q in queues:
        ch.fence(q)
        got = []
        while True:
            m = ch.get(q, no_ack=1)
            if m is None or m.name != "basic.get-ok":
                break
            got.append(m.body.decode())
        out.append(got)
    ch.conn.quiet = False
    return out


def send(ch, x, messages):
    """Publish (key, body, properties) each; unrecorded."""
    ch.conn.quiet = True
    for key, body, props in messages:
        ch.publish(key, body, x, **props)
    ch.conn.quiet = False


def where(got):
    """{body: set of queues}"""
    out = {}
    for number, bodies in enumerate(got):
        for body in bodies:
            out.setdefault(body, set()).add(number)
    return out


def say(ch, text, *values):
    ch.conn.log("= " + text % values)


# ---- Declaring ----

@each("exchange-types/declare", {"chash": CHASH, "modulus": MODULUS, "random": RANDOM,
                                 "history": HISTORY})
def declare(s, kind):
    ch, x = s.channel(), s.x()
    ch.exchange(x, kind, durable=1)
    ch.exchange(x, kind, durable=1)
    ch.exchange(x, "", passive=1)
    ch.exchange(x, "fanout", durable=1)


@each("exchange-types/declare-args", {
    "header": (CHASH, {"hash-header": "h"}), "header-empty": (CHASH, {"hash-header": ""}),
    "correlation-id": (CHASH, {"hash-property": "correlation_id"}),
    "message-id": (CHASH, {"hash-property": "message_id"}),
    "timestamp": (CHASH, {"hash-property": "timestamp"}),
    "property-dashed": (CHASH, {"hash-property": "message-id"}),
    "property-unknown": (CHASH, {"hash-property": "app_id"}),
    "property-empty": (CHASH, {"hash-property": ""}),
    "both": (CHASH, {"hash-header": "h", "hash-property": "message_id"}),
    "both-and-unknown": (CHASH, {"hash-header": "h", "hash-property": "nonsense"}),
    "header-integer": (CHASH, {"hash-header": 5}),
    "property-integer": (CHASH, {"hash-property": 5}),
    "header-binary": (CHASH, {"hash-header": ("x", "h")}),
    "header-void": (CHASH, {"hash-header": None}),
    "alternate-integer": (CHASH, {"hash-property": "nonsense", "alternate-exchange": 5}),
    "modulus": (MODULUS, {"hash-header": 5}), "random": (RANDOM, {LENGTH: -1}),
    "length": (HISTORY, {LENGTH: 3}), "length-one": (HISTORY, {LENGTH: 1}),
    "length-long": (HISTORY, {LENGTH: ("l", 3)}), "length-byte": (HISTORY, {LENGTH: ("b", 3)}),
    "length-short": (HISTORY, {LENGTH: ("s", 3)}),
    "length-unsigned-byte": (HISTORY, {LENGTH: ("B", 3)}),
    "length-unsigned-short": (HISTORY, {LENGTH: ("u", 3)}),
    "length-unsigned-int": (HISTORY, {LENGTH: ("i", 3)}),
    "length-zero": (HISTORY, {LENGTH: 0}), "length-negative": (HISTORY, {LENGTH: -5}),
    "length-string": (HISTORY, {LENGTH: "5"}), "length-bool": (HISTORY, {LENGTH: True}),
    "length-double": (HISTORY, {LENGTH: 5.0}), "length-void": (HISTORY, {LENGTH: None}),
    "length-table": (HISTORY, {LENGTH: {"a": 1}}),
    "length-huge": (HISTORY, {LENGTH: ("l", 2**62)})})
def declare_args(s, row):
    ch, x, (kind, arguments) = s.channel(), s.x(), row
    ch.exchange(x, kind, arguments=arguments)
    ch.exchange(x, kind, passive=1)


@each("exchange-types/equivalence", {
    "header-removed": (CHASH, {"hash-header": "h"}, {}),
    "header-changed": (CHASH, {"hash-header": "h"}, {"hash-header": "g"}),
    "header-to-property": (CHASH, {"hash-header": "h"}, {"hash-property": "message_id"}),
    "to-invalid": (CHASH, {}, {"hash-property": "nonsense"}),
    "length-changed": (HISTORY, {LENGTH: 3}, {LENGTH: 4}),
    "length-removed": (HISTORY, {LENGTH: 3}, {}),
    "length-to-invalid": (HISTORY, {LENGTH: 3}, {LENGTH: -1}),
    "alternate": (RANDOM, {}, {"alternate-exchange": "amq.fanout"})})
def equivalence(s, row):
    ch, x, (kind, first, second) = s.channel(), s.x(), row
    ch.exchange(x, kind, arguments=first)
    ch.exchange(x, kind, arguments=second)


# ---- Binding keys ----

@each("exchange-types/chash/weight", {
    "one": "1", "leading-zero": "007", "plus": "+5", "hundred": "100", "zero": "0",
    "minus-zero": "-0", "negative": "-1", "empty": "", "word": "x", "decimal": "1.5",
    "exponent": "1e3", "space-before": " 1", "space-after": "1 ", "sign-only": "-", "hex": "0x10",
    "plus-minus": "+-1", "comma": "1,2", "quote": 'a"b', "control": "\x01", "utf-8": "\u00e9",
    "underscore": "1_000", "huge-negative": "-99999999999999999999999"})
def weight(s, key):
    ch, x = s.channel(), s.x()
    ch.exchange(x, CHASH)
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x, key)
    ch.call("queue.unbind", queue=q, exchange=x, routing_key=key)


@scenario("exchange-types/chash/weight/again")
def weight_again(s):
    """An existing binding is checked as well; an exchange is a destination like a queue."""
    ch, x, y = s.channel(), s.x(), s.x("y")
    ch.exchange(x, CHASH)
    ch.exchange(y, "fanout")
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x, "1")
    ch.bind(q, x, "1")
    ch.call("exchange.bind", destination=y, source=x, routing_key="2")
    ch.call("exchange.bind", destination=y, source=x, routing_key="none")


@scenario("exchange-types/chash/weight/missing-ends")
def weight_missing(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x, CHASH)
    ch.bind(s.q("missing"), x, "none")
    ch = ch.conn.channel(2)
    ch.bind(ch.declare(s.q(), exclusive=1), s.x("missing"), "none")


@each("exchange-types/bind-any-key", {"modulus": MODULUS, "random": RANDOM, "history": HISTORY})
def bind_any_key(s, kind):
    ch, x = s.channel(), s.x()
    ch.exchange(x, kind)
    q = ch.declare(s.q(), exclusive=1)
    for key in ("", "0", "nonsense", "#"):
        ch.bind(q, x, key)
    ch.publish("other", "once", x)
    ch.get(q, no_ack=1)
    ch.get(q, no_ack=1)


# ---- One queue a message ----

HASHED = {
    "chash": (CHASH, {}, lambda n: ("k%d" % n, {})),
    "chash-header": (CHASH, {"hash-header": "h"}, lambda n: ("", {"headers": {"h": "v%d" % n}})),
    "chash-header-integer": (CHASH, {"hash-header": "h"}, lambda n: ("", {"headers": {"h": n}})),
    "chash-correlation-id": (CHASH, {"hash-property": "correlation_id"},
                             lambda n: ("", {"correlation_id": "v%d" % n})),
    "chash-message-id": (CHASH, {"hash-property": "message_id"},
                         lambda n: ("", {"message_id": "v%d" % n})),
    "chash-timestamp": (CHASH, {"hash-property": "timestamp"},
                        lambda n: ("", {"timestamp": 1000 + n})),
    "modulus": (MODULUS, {}, lambda n: ("k%d" % n, {}))}


@each("exchange-types/one-queue", HASHED)
def one_queue(s, row):
    """Every message in exactly one queue, equal ones in the same, every queue with a share."""
    ch, x, (kind, arguments, make) = s.channel(), s.x(), row
    queues = spread(s, ch, x, kind, 3, ["10", "10", "10"], arguments=arguments)
    for _ in range(2):
        send(ch, x, [(make(n)[0], str(n), make(n)[1]) for n in range(200)])
    got = drain(ch, queues)
    places = where(got)
    say(ch, "%d messages of %d, in one queue each: %s, all queues used: %s",
        sum(map(len, got)), len(places), all(len(p) == 1 for p in places.values()), all(got))


@each("exchange-types/same-queue", {
    "key-ignored-by-header": (CHASH, {"hash-header": "h"},
                              lambda n: ("k%d" % n, {"headers": {"h": "same"}})),
    "no-header": (CHASH, {"hash-header": "h"}, lambda n: ("k%d" % n, {"headers": {"g": n}})),
    "no-headers": (CHASH, {"hash-header": "h"}, lambda n: ("k%d" % n, {})),
    "no-property": (CHASH, {"hash-property": "message_id"},
                    lambda n: ("k%d" % n, {"correlation_id": "v%d" % n})),
    "no-timestamp": (CHASH, {"hash-property": "timestamp"}, lambda n: ("k%d" % n, {})),
    "headers-ignored-by-key": (CHASH, {}, lambda n: ("k", {"headers": {"h": n}})),
    "cc-ignored": (CHASH, {}, lambda n: ("k", {"headers": {"CC": ["k%d" % n]}})),
    "modulus": (MODULUS, {}, lambda n: ("k", {"message_id": str(n)}))})
def same_queue(s, row):
    ch, x, (kind, arguments, make) = s.channel(), s.x(), row
    queues = spread(s, ch, x, kind, 4, ["10"] * 4, arguments=arguments)
    send(ch, x, [(make(n)[0], str(n), make(n)[1]) for n in range(50)])
    say(ch, "%s", sorted(map(len, drain(ch, queues))))


@scenario("exchange-types/modulus/cc-counts")
def modulus_cc(s):
    ch, x = s.channel(), s.x()
    queues = spread(s, ch, x, MODULUS, 2)
    send(ch, x, [("k", str(n), {"headers": {"CC": ["k%d" % n]}}) for n in range(100)])
    got = drain(ch, queues)
    say(ch, "%d messages, all queues used: %s", sum(map(len, got)), all(got))


@scenario("exchange-types/chash/weights-count")
def weights_count(s):
    """Nine tenths to one queue, within wide bounds."""
    ch, x = s.channel(), s.x()
    queues = spread(s, ch, x, CHASH, 2, ["10", "90"])
    send(ch, x, [("k%d" % n, "m", {}) for n in range(1000)])
    light, heavy = map(len, drain(ch, queues))
    say(ch, "%d messages, share right: %s", light + heavy, 800 < heavy < 970)


@scenario("exchange-types/chash/first-binding-counts")
def first_binding(s):
    ch, x = s.channel(), s.x()
    queues = spread(s, ch, x, CHASH, 2, ["50", "50"])
    ch.bind(queues[0], x, "5000")
    send(ch, x, [("k%d" % n, "m", {}) for n in range(1000)])
    first, second = map(len, drain(ch, queues))
    say(ch, "%d messages, still even: %s", first + second, 350 < first < 650)


@scenario("exchange-types/chash/later-binding-goes")
def later_binding_goes(s):
    ch, x = s.channel(), s.x()
    queues = spread(s, ch, x, CHASH, 2, ["50", "50"])
    ch.bind(queues[0], x, "7")
    ch.call("queue.unbind", queue=queues[0], exchange=x, routing_key="7")
    send(ch, x, [("k%d" % n, "m", {}) for n in range(200)])
    got = drain(ch, queues)
    say(ch, "%d messages, all queues used: %s", sum(map(len, got)), all(got))


@scenario("exchange-types/chash/first-binding-goes")
def first_binding_goes(s):
    ch, x = s.channel(), s.x()
    queues = spread(s, ch, x, CHASH, 2, ["50", "50"])
    ch.bind(queues[0], x, "7")
    ch.call("queue.unbind", queue=queues[0], exchange=x, routing_key="50")
    send(ch, x, [("k%d" % n, "m", {}) for n in range(200)])
    got = drain(ch, queues)
    say(ch, "%d messages, all queues used: %s", sum(map(len, got)), all(got))


@each("exchange-types/queue-leaves", {"chash": CHASH, "modulus": MODULUS, "random": RANDOM})
def queue_leaves(s, kind):
    """Nothing is lost when one is unbound and one deleted; with none left, it is returned."""
    ch, x = s.channel(), s.x()
    queues = spread(s, ch, x, kind, 4)
    ch.call("queue.unbind", queue=queues[1], exchange=x, routing_key="1")
    ch.call("queue.delete", queue=queues[3])
    send(ch, x, [("k%d" % n, str(n), {}) for n in range(100)])
    got = drain(ch, queues[:3])
    say(ch, "%d messages, all queues used: %s, none unbound: %s", sum(map(len, got)),
        bool(got[0] and got[2]), not got[1])
    for q in (queues[0], queues[2]):
        ch.call("queue.delete", queue=q)
    ch.publish("k", "returned", x, mandatory=1)
    ch.expect("basic.return")


@each("exchange-types/alternate", {"chash": CHASH, "modulus": MODULUS, "random": RANDOM,
                                   "history": HISTORY})
def alternate(s, kind):
    ch, x, y = s.channel(), s.x(), s.x("y")
    ch.exchange(y, "fanout")
    ch.exchange(x, kind, arguments={"alternate-exchange": y})
    q, other = (ch.declare(s.q(n), exclusive=1) for n in ("q", "other"))
    ch.bind(other, y)
    ch.publish("k", "to the alternate", x)
    ch.fence(other)
    ch.get(other, no_ack=1)
    ch.bind(q, x, "1")
    ch.publish("k", "to the queue", x)
    ch.fence(other)
    ch.get(other, no_ack=1)


@each("exchange-types/through-exchange", {"chash": CHASH, "modulus": MODULUS, "random": RANDOM,
                                          "history": HISTORY})
def through_exchange(s, kind):
    """As destination of a fanout exchange, and with one behind it."""
    ch, first, x, last = s.channel(), s.x("first"), s.x(), s.x("last")
    ch.exchange(first, "fanout")
    ch.exchange(x, kind)
    ch.exchange(last, "fanout")
    q = ch.declare(s.q(), exclusive=1)
    ch.call("exchange.bind", destination=x, source=first)
    ch.call("exchange.bind", destination=last, source=x, routing_key="1")
    ch.bind(q, last)
    ch.publish("k", "m", first)
    ch.fence(q)
    ch.get(q, no_ack=1)
    ch.get(q, no_ack=1)


@each("exchange-types/auto-delete", {"chash": CHASH, "random": RANDOM, "history": HISTORY})
def auto_delete(s, kind):
    ch, x = s.channel(), s.x()
    ch.exchange(x, kind, auto_delete=1)
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x, "1")
    ch.bind(q, x, "2")
    ch.call("queue.unbind", queue=q, exchange=x, routing_key="1")
    ch.exchange(x, "", passive=1)
    ch.call("queue.unbind", queue=q, exchange=x, routing_key="2")
    ch.exchange(x, "", passive=1)


@scenario("exchange-types/random/spread")
def random_spread(s):
    ch, x = s.channel(), s.x()
    queues = spread(s, ch, x, RANDOM, 3)
    send(ch, x, [("k", str(n), {}) for n in range(200)])
    got = drain(ch, queues)
    places = where(got)
    say(ch, "%d messages, in one queue each: %s, all queues used: %s", sum(map(len, got)),
        all(len(p) == 1 for p in places.values()), all(got))


@scenario("exchange-types/random/bindings-count")
def random_bindings(s):
    """A queue bound ten times gets ten times as much as one bound once."""
    ch, x = s.channel(), s.x()
    queues = spread(s, ch, x, RANDOM, 2)
    for i in range(9):
        ch.bind(queues[0], x, "more%d" % i)
    send(ch, x, [("k", "m", {}) for n in range(600)])
    often, once = map(len, drain(ch, queues))
    say(ch, "%d messages, share right: %s", often + once, 450 < often < 596)


# ---- Recent history ----

def history(s, ch, x, count, start=0, **props):
    send(ch, x, [("k%d" % n, "m%d" % n, props) for n in range(start, start + count)])


@each("exchange-types/history/length", {"default": ({}, 25), "default-not-full": ({}, 3),
                                        "three": ({LENGTH: 3}, 10), "one": ({LENGTH: 1}, 2),
                                        "exact": ({LENGTH: 4}, 4), "none": ({}, 0)})
def history_length(s, row):
    ch, x, (arguments, count) = s.channel(), s.x(), row
    ch.exchange(x, HISTORY, arguments=arguments)
    history(s, ch, x, count)
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x)
    say(ch, "%s", drain(ch, [q])[0])
    ch.publish("k", "live", x)
    ch.get(q, no_ack=1)
    ch.get(q, no_ack=1)


@scenario("exchange-types/history/message")
def history_message(s):
    """What comes out of the history is the message as it was published."""
    ch, x = s.channel(), s.x()
    ch.exchange(x, HISTORY)
    ch.publish("some.key", "body", x, content_type="text/plain", delivery_mode=2, priority=3,
               correlation_id="c", message_id="i", timestamp=7, headers={"a": 1, "b": "c"})
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x, "unlike")
    ch.fence(q)
    ch.get(q, no_ack=1)
    ch.get(q, no_ack=1)


@scenario("exchange-types/history/once-per-binding")
def history_once(s):
    """Each new binding brings the history again; one that exists does not."""
    ch, x = s.channel(), s.x()
    ch.exchange(x, HISTORY)
    history(s, ch, x, 2)
    q = ch.declare(s.q(), exclusive=1)
    for key in ("a", "a", "b"):
        ch.bind(q, x, key)
        say(ch, "%s", drain(ch, [q])[0])
    ch.publish("k", "live", x)
    say(ch, "%s", drain(ch, [q])[0])
    ch.call("queue.unbind", queue=q, exchange=x, routing_key="a")
    ch.bind(q, x, "a")
    say(ch, "%s", drain(ch, [q])[0])


@each("exchange-types/history/no-store", {
    "true": True, "false": False, "string": "true", "integer": 1, "void": None})
def history_no_store(s, value):
    ch, x = s.channel(), s.x()
    ch.exchange(x, HISTORY)
    early, late = (ch.declare(s.q(n), exclusive=1) for n in ("early", "late"))
    ch.bind(early, x)
    ch.publish("k", "stored", x)
    ch.publish("k", "maybe", x, headers={NO_STORE: value})
    ch.publish("k", "stored too", x, headers={"other": True})
    ch.bind(late, x)
    for q in (early, late):
        say(ch, "%s", drain(ch, [q])[0])


@scenario("exchange-types/history/consumer")
def history_consumer(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x, HISTORY)
    history(s, ch, x, 2)
    q = ch.declare(s.q(), exclusive=1)
    ch.consume(q, "c", no_ack=1)
    ch.send("queue.bind", queue=q, exchange=x, routing_key="")
    ch.conn.quiet = True
    seen = [ch.wait(("queue.bind-ok", "basic.deliver", "header", "body")) for _ in range(7)]
    ch.conn.quiet = False
    say(ch, "%s", [f.line for f in seen if f.name == "body"])
    ch.fence(q)


@scenario("exchange-types/history/deleted")
def history_deleted(s):
    """A new exchange of the same name has no history."""
    ch, x = s.channel(), s.x()
    ch.exchange(x, HISTORY)
    history(s, ch, x, 2)
    ch.call("exchange.delete", exchange=x)
    ch.exchange(x, HISTORY)
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x)
    ch.fence(q)
    ch.get(q)


@scenario("exchange-types/history/of-fanout")
def history_of_fanout(s):
    """Messages that come through another exchange are kept too."""
    ch, first, x = s.channel(), s.x("first"), s.x()
    ch.exchange(first, "fanout")
    ch.exchange(x, HISTORY)
    ch.call("exchange.bind", destination=x, source=first)
    for body in ("m1", "m2", "m3"):
        ch.publish("k", body, first)
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x)
    ch.fence(q)
    ch.get(q, no_ack=1)
    ch.get(q, no_ack=1)
    ch.get(q, no_ack=1)
    ch.get(q, no_ack=1)


@scenario("exchange-types/history/to-exchange")
def history_to_exchange(s):
    """A newly bound exchange gets the history and routes it by the messages' own keys."""
    ch, x, y = s.channel(), s.x(), s.x("y")
    ch.exchange(x, HISTORY)
    ch.exchange(y)
    a, b = (ch.declare(s.q(n), exclusive=1) for n in "ab")
    ch.bind(a, y, "k0")
    ch.bind(b, y, "k1")
    history(s, ch, x, 1)
    history(s, ch, x, 1, 1)
    ch.call("exchange.bind", destination=y, source=x)
    for q in (a, b):
        say(ch, "%s", drain(ch, [q])[0])


@scenario("exchange-types/history/to-exchange-cc")
def history_to_exchange_cc(s):
    ch, x, y = s.channel(), s.x(), s.x("y")
    ch.exchange(x, HISTORY)
    ch.exchange(y)
    queues = [ch.declare(s.q(n), exclusive=1) for n in ("key", "cc", "bcc")]
    for q, key in zip(queues, ("key", "cc", "bcc")):
        ch.bind(q, y, key)
    ch.publish("key", "m", x, headers={"CC": ["cc"], "BCC": ["bcc"]})
    ch.call("exchange.bind", destination=y, source=x)
    for q in queues:
        say(ch, "%s", drain(ch, [q])[0])


@scenario("exchange-types/history/to-exchange-without-queues")
def history_to_nowhere(s):
    ch, x, y = s.channel(), s.x(), s.x("y")
    ch.exchange(x, HISTORY)
    ch.exchange(y)
    history(s, ch, x, 1)
    ch.call("exchange.bind", destination=y, source=x)
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x)
    say(ch, "%s", drain(ch, [q])[0])


@scenario("exchange-types/history/tx")
def history_tx(s):
    """A message is in the history from its publishing on, committed or not."""
    ch, x = s.channel(), s.x()
    ch.exchange(x, HISTORY)
    ch.call("tx.select")
    ch.publish("k", "rolled back", x)
    ch.call("tx.rollback")
    ch.publish("k", "committed", x)
    ch.call("tx.commit")
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x)
    say(ch, "%s", drain(ch, [q])[0])


@scenario("exchange-types/history/confirm-mandatory")
def history_confirm(s):
    ch, x = s.channel(), s.x()
    ch.exchange(x, HISTORY)
    ch.call("confirm.select")
    ch.publish("k", "m", x, mandatory=1)
    ch.expect("basic.return")
    ch.confirms(1)
    q = ch.declare(s.q(), exclusive=1)
    ch.bind(q, x)
    say(ch, "%s", drain(ch, [q])[0])
