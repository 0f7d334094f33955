"""Every operation that needs a permission, and limits of vhosts, refused word for word: PORT. definitions_test.sh has
loaded the users: 'few' may configure and read what begins with l, and write to that and to the
default exchange, with a topic permission for 'ltopic'; 'imp' is an impersonator."""
import sys
import time

import pika

PORT = int(sys.argv[1])
REFUSED = "ACCESS_REFUSED - {} access to {} '{}' in vhost 'prod' refused for user 'few'"


def connect(user, password, vhost="prod"):
    return pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", PORT, vhost, pika.PlainCredentials(user, password),
        connection_attempts=1, socket_timeout=30, blocked_connection_timeout=60))


def answer(connection, call):
    """(code, text) with which the channel is closed by the call; None when it is not."""
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        call(channel)
    except pika.exceptions.ChannelClosedByBroker as e:
        return e.reply_code, e.reply_text
    channel.close()
    return None


def alternate(exchange):
    return {"alternate-exchange": exchange}


def dead_letter(exchange):
    return {"x-dead-letter-exchange": exchange}


def publish(exchange, key, **properties):
    return lambda c: c.basic_publish(exchange, key, b"m", pika.BasicProperties(**properties))


def topic(permission, key):
    return 403, (f"ACCESS_REFUSED - {permission} access to topic '{key}' in exchange 'ltopic' in "
                 "vhost 'prod' refused for user 'few'")


TOPICS = [  # call, answer
    (publish("ltopic", "few.a"), None),
    (publish("ltopic", "other.a"), topic("write", "other.a")),
    (publish("ltopic", "few.a", headers={"CC": ["few.b", "other.b"]}), topic("write", "other.b")),
    (publish("ltopic", "other.a", user_id="other"), topic("write", "other.a")),
    (publish("ltopic", "other.a", expiration="x"),
     (406, "PRECONDITION_FAILED - invalid expiration 'x': no_integer")),
    (publish("lx", "other.a"), None),
    (lambda c: c.queue_bind("lq", "ltopic", "r"), None),
    (lambda c: c.queue_bind("lq", "ltopic", "s"), topic("read", "s")),
    (lambda c: c.exchange_bind("lx", "ltopic", "s"), topic("read", "s")),
    (lambda c: c.queue_unbind("lq", "ltopic", "s"), topic("read", "s")),
]

REFUSALS = [  # call, permission, kind, name
    (lambda c: c.queue_declare("q2"), "configure", "queue", "q2"),
    (lambda c: c.queue_declare("q"), "configure", "queue", "q"),
    (lambda c: c.queue_delete("q"), "configure", "queue", "q"),
    (lambda c: c.queue_delete("missing"), "configure", "queue", "missing"),
    (lambda c: c.exchange_declare("x2"), "configure", "exchange", "x2"),
    (lambda c: c.exchange_declare("x"), "configure", "exchange", "x"),
    (lambda c: c.exchange_delete("x"), "configure", "exchange", "x"),
    (lambda c: c.exchange_declare("lx2", arguments=alternate("x")), "write", "exchange", "x"),
    (lambda c: c.queue_declare("lq2", arguments=dead_letter("x")), "write", "exchange", "x"),
    (lambda c: c.queue_bind("q", "lx", "k"), "write", "queue", "q"),
    (lambda c: c.queue_bind("lq", "x", "k"), "read", "exchange", "x"),
    (lambda c: c.queue_unbind("q", "lx", "k"), "write", "queue", "q"),
    (lambda c: c.queue_unbind("lq", "x", "k"), "read", "exchange", "x"),
    (lambda c: c.exchange_bind("x", "lx", "k"), "write", "exchange", "x"),
    (lambda c: c.exchange_bind("lx", "x", "k"), "read", "exchange", "x"),
    (lambda c: c.exchange_unbind("x", "lx", "k"), "write", "exchange", "x"),
    (lambda c: c.exchange_unbind("lx", "x", "k"), "read", "exchange", "x"),
    (publish("x", "k"), "write", "exchange", "x"),
    (lambda c: c.basic_get("q"), "read", "queue", "q"),
    (lambda c: c.basic_consume("q", print), "read", "queue", "q"),
    (lambda c: c.queue_purge("q"), "read", "queue", "q"),
]

ALLOWED = [
    lambda c: c.queue_declare("q", passive=True),
    lambda c: c.exchange_declare("x", passive=True),
    lambda c: c.queue_declare("ldead", arguments=dead_letter("x")),  # it exists
    lambda c: c.queue_declare("lown", arguments=dead_letter("lx")),
    lambda c: c.queue_delete("lown"),
    lambda c: c.exchange_declare("lalt", arguments=alternate("lx")),
    lambda c: c.exchange_delete("lalt"),
    lambda c: c.queue_bind("lq", "lx", "k"),
    lambda c: c.basic_consume("amq.rabbitmq.reply-to", print, auto_ack=True),
    publish("lx", "k"),
    publish("", "q", user_id="few"),
]

admin = connect("hashed", "test12")
ch = admin.channel()
for q in ("q", "lq"):
    ch.queue_declare(q)
for x in ("x", "lx"):
    ch.exchange_declare(x)
ch.queue_declare("ldead", arguments=dead_letter("x"))
ch.exchange_declare("ltopic", "topic")

few = connect("few", "f")
for call, permission, kind, name in REFUSALS:
    got = answer(few, call)
    assert got == (403, REFUSED.format(permission, kind, name)), (got, permission, kind, name)
for i, call in enumerate(ALLOWED):
    got = answer(few, call)
    assert got is None, (i, got)
for i, (call, expected) in enumerate(TOPICS):
    got = answer(few, call)
    assert got == expected, (i, got, expected)
got = answer(few, lambda c: c.queue_declare(""))
assert got[0] == 403 and got[1].startswith(
    "ACCESS_REFUSED - configure access to queue 'amq.gen-"), got
got = answer(few, publish("", "q", user_id="other"))
assert got == (406, "PRECONDITION_FAILED - user_id property set to 'other' but authenticated user "
                    "was 'few'"), got
imp = connect("imp", "i")
assert answer(imp, publish("", "q", user_id="other")) is None

try:
    connect("few", "f", "/")
    raise AssertionError("few got into /")
except pika.exceptions.ProbableAccessDeniedError as e:
    assert "access to vhost '/' refused for user 'few'" in str(e), e



def shut_out(vhost, limit):
    try:
        connect("few", "f", vhost)
    except pika.exceptions.ProbableAccessDeniedError as e:
        assert (f"NOT_ALLOWED - access to vhost '{vhost}' refused for user 'few': connection "
                f"limit ({limit}) is reached") in str(e), e
        return
    raise AssertionError("few got into " + vhost)


def when_room(vhost):
    """A closed connection counts until its socket is gone."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return connect("few", "f", vhost)
        except pika.exceptions.ProbableAccessDeniedError:
            assert time.monotonic() < deadline, "no room again"


one, two = connect("few", "f", "small"), connect("few", "f", "small")
shut_out("small", 2)
shut_out("shut", 0)
two.close()
two = when_room("small")
assert answer(one, lambda c: c.queue_declare("only")) is None
assert answer(one, lambda c: c.queue_declare("only")) is None  # it exists
assert answer(two, lambda c: c.queue_declare("more")) == (
    406, "PRECONDITION_FAILED - cannot declare queue 'more': queue limit in vhost 'small' (1) is "
         "reached")
assert answer(one, lambda c: c.queue_delete("only")) is None
assert answer(two, lambda c: c.queue_declare("more", exclusive=True)) is None
for c in (one, two, connect("few", "f", "wide")):
    c.close()

for q in ("q", "lq", "ldead"):
    ch.queue_delete(q)
for x in ("x", "lx", "ltopic"):
    ch.exchange_delete(x)
for c in (few, imp, admin):
    c.close()
