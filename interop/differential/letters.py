"""What scenarios about time, limits and dead letters share: waiting, and messages shown by meaning.

RabbitMQ 3.10 and 4 write the headers of dead letters differently (order of keys, x-last-death-*),
so these scenarios take messages unrecorded and record what they say: see fetch(). A few scenarios
of dead_letter.py record whole headers and so pin the difference itself.
"""

import time

import amqp
import client

LONG = 60000  # milliseconds that never pass in a test
SHORT = 60    # milliseconds that are waited for


def sleep_ms(ms):
    """Where the passing of time itself is the thing tested."""
    time.sleep(ms / 1000)


def _entries(table):
    """[(key, type letter, cursor at the value, text)] of a table's octets."""
    c, out = amqp.Cursor(table), []
    while c.left():
        key, at = c.shortstr().decode("utf-8", "backslashreplace"), c.pos
        text = amqp.show_value(c)
        out.append((key, c.data[at + 1:c.pos], text))
    return out


def _properties(header):
    """(text of all properties but headers, octets of the headers table)."""
    c = amqp.Cursor(header.payload)
    c.take(12)
    flags = c.num(">H")
    spec = [p for i, p in enumerate(amqp.PROPERTIES) if flags & (1 << (15 - i))]
    decoded = amqp._decode(c, spec)
    text = "".join(" %s=%s" % (n, t) for n, t, _ in decoded if n != "headers")
    return text, next((raw for n, _, raw in decoded if n == "headers"), b"")


def _death(table):
    """One element of x-death, its keys sorted, its time by type only."""
    shown = {k: "T*" if k == "time" and text[0] == "T" else text for k, _, text in _entries(table)}
    return " ".join("%s=%s" % (k, shown[k]) for k in sorted(shown))


def _deaths(array):
    c, out = amqp.Cursor(amqp.Cursor(array).longstr()), []
    while c.left():
        kind = chr(c.num(">B"))
        if kind != "F":
            raise ValueError("x-death holds a " + kind)
        out.append(_death(c.longstr()))
    return out


def tell(ch, m):
    """Record a message by meaning: its method, properties, headers in order of key, deaths."""
    log, (properties, headers) = ch.conn.script.log, _properties(m.header)
    log("= %s redelivered=%d exchange=%s key=%s%s body=%s" % (m.name, m.args["redelivered"],
        amqp.show(m.args["exchange"]), amqp.show(m.args["routing-key"]), properties,
        amqp.show_body(m.body)))
    for key, raw, text in sorted(_entries(headers)):
        if key == "x-death" and text[0] == "A":
            for death in _deaths(raw):
                log("=   death " + death)
        elif not key.startswith("x-last-death-"):
            log("=   %s: %s" % (key, text))


def _try_get(ch, queue, no_ack=1):
    was, ch.conn.quiet = ch.conn.quiet, True
    m = ch.call("basic.get", queue=queue, no_ack=no_ack)
    ch.conn.quiet = was
    return m if m is not None and m.name == "basic.get-ok" else None


def get(ch, queue, no_ack=0):
    """Get, unrecorded, and tell what came. Its delivery tag, or 0."""
    m = _try_get(ch, queue, no_ack)
    if m:
        tell(ch, m)
    elif not ch.dead():
        ch.conn.script.log("= %s empty" % queue)
    return m.tag if m else 0


def fetch(ch, queue, count=1):
    """Ask until so many messages have come, unrecorded, and tell of them."""
    deadline = time.monotonic() + client.PATIENCE
    while count and not ch.dead():
        m = _try_get(ch, queue)
        if m:
            tell(ch, m)
            count -= 1
        elif time.monotonic() > deadline:
            ch.conn.script.log("! %d messages never came" % count)
            return
        else:
            time.sleep(client.POLL)


def take(ch, count=1):
    """Deliveries to a consumer, told of by meaning. The last one's delivery tag."""
    tag = 0
    for _ in range(count):
        was, ch.conn.quiet = ch.conn.quiet, True
        m = ch.deliver()
        ch.conn.quiet = was
        if m is None or m.name != "basic.deliver" or m.header is None:
            if not ch.dead():
                ch.conn.script.log("! no delivery")
            return tag
        tell(ch, m)
        tag = m.tag
    return tag


def dead_letters(s, ch, arguments=None, key=True, **flags):
    """A queue whose dead letters go through the default exchange to a second queue: both names."""
    dead = ch.declare(s.q("dead"))
    to = {"x-dead-letter-exchange": ""}
    if key:
        to["x-dead-letter-routing-key"] = dead
    return ch.declare(s.q("work"), arguments=dict(to, **(arguments or {})), **flags), dead
