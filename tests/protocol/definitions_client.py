"""What a client sees of the definitions that definitions_test.sh has loaded: PORT."""
import sys
import time

import pika

PORT = int(sys.argv[1])


def connect(user, password, vhost):
    return pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", PORT, vhost, pika.PlainCredentials(user, password),
        connection_attempts=1, socket_timeout=30, blocked_connection_timeout=60))


def refused(user, password, vhost):
    try:
        connect(user, password, vhost).close()
    except pika.exceptions.AMQPError:
        return
    raise AssertionError(f"{user} got into {vhost}")


def refuses(connection, code, call):
    """A channel that is closed with the code by the call."""
    channel = connection.channel()
    try:
        call(channel)
    except pika.exceptions.ChannelClosedByBroker as e:
        assert e.reply_code == code, e
        return
    raise AssertionError(f"not refused with {code}")


def has(channel, queue, bodies):
    """Waits until the queue has these messages, and takes them."""
    deadline = time.monotonic() + 60
    while channel.queue_declare(queue, passive=True).method.message_count != len(bodies):
        assert time.monotonic() < deadline, f"{queue} never had {bodies}"
        time.sleep(0.02)
    got = [channel.basic_get(queue, auto_ack=True)[2].decode() for _ in bodies]
    assert got == bodies, (queue, got)


def publish(channel, exchange, key, *bodies):
    for body in bodies:
        channel.basic_publish(exchange, key, body.encode())


refused("guest", "guest", "/")  # a file of definitions, so no default user
refused("app", "wrong", "prod")
refused("app", "s3cret", "/")
connect("hashed", "test12", "/").close()

app = connect("app", "s3cret", "prod")
refuses(app, 403, lambda ch: ch.queue_declare("other"))
refuses(app, 404, lambda ch: ch.queue_declare("none", passive=True))

ch = app.channel()
ch.confirm_delivery()
publish(ch, "orders", "new.a", "1", "2", "3")      # max-length 2: the first dies
has(ch, "graveyard", ["1"])
has(ch, "work", ["2", "3"])
publish(ch, "orders", "old", "4")                  # no binding: the alternate exchange
has(ch, "unrouted", ["4"])
ch.queue_declare("work", durable=True, arguments={"x-message-ttl": 3600000})
ch.queue_declare("work2", durable=True)            # governed from the beginning
publish(ch, "", "work2", "5", "6", "7")
has(ch, "graveyard", ["5"])
has(ch, "work2", ["6", "7"])

admin = connect("hashed", "test12", "prod")
ch = admin.channel()
ch.confirm_delivery()
assert ch.queue_declare("quorum", durable=True, arguments={"x-queue-type": "quorum"})
refuses(admin, 406, lambda c: c.queue_declare("quorum", durable=True))
ch.queue_declare("capped", arguments={"x-max-length": 5})
publish(ch, "", "capped", "8", "9")
has(ch, "capped", ["9"])                           # the operator's 1 counts
ch.queue_delete("capped")
ch.queue_delete("work2")
admin.close()
app.close()
