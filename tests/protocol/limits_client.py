"""Limits of users, refused word for word: PORT. definitions_test.sh has loaded the users: 'lim' may
have 2 connections and 3 channels, 'free' any number of connections and no channel, 'out' no
connection."""
import sys
import time

import pika

PORT = int(sys.argv[1])


def connect(user, vhost="prod"):
    return pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", PORT, vhost, pika.PlainCredentials(user, user[0]),
        connection_attempts=1, socket_timeout=30, blocked_connection_timeout=60))


def shut_out(text, user, vhost="prod"):
    try:
        connect(user, vhost)
    except pika.exceptions.ProbableAccessDeniedError as e:
        assert text in str(e), e
        return
    raise AssertionError(f"{user} got into {vhost}")


def no_channel(connection, user, limit):
    """The connection is closed by the attempt to open one more."""
    try:
        connection.channel()
    except pika.exceptions.ConnectionClosedByBroker as e:
        assert (e.reply_code, e.reply_text) == (
            530, f"NOT_ALLOWED - number of channels opened for user '{user}' has reached the "
                 f"maximum allowed user limit of ({limit})"), e
        return
    raise AssertionError("one channel too many")


def when_room(user):
    """A closed connection counts until its socket is gone."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return connect(user)
        except pika.exceptions.ProbableAccessDeniedError:
            assert time.monotonic() < deadline, "no room again"


FULL = "NOT_ALLOWED - connection refused for user '{}': user connection limit ({}) is reached"

shut_out(FULL.format("out", 0), "out")                # before it is looked whether it may
shut_out("access to vhost 'shut' refused for user 'lim': connection limit (0) is reached", "lim",
         "shut")                                      # the vhost's counts first
for _ in range(3):                                    # who is refused does not count
    shut_out("access to vhost '/' refused for user 'lim'", "lim", "/")

one, two = connect("lim"), connect("lim", "wide")     # of all vhosts together
shut_out(FULL.format("lim", 2), "lim")
channels = [one.channel(), one.channel(), two.channel()]
no_channel(two, "lim", 3)                             # ends the connection and its channel
two = when_room("lim")
three = two.channel()
channels[0].close()
again = one.channel()
try:
    again.queue_declare("none", passive=True)         # closed by the broker
    raise AssertionError("there is a queue 'none'")
except pika.exceptions.ChannelClosedByBroker:
    one.channel()
no_channel(two, "lim", 3)
one.close()

for c in [connect("free") for _ in range(5)]:
    no_channel(c, "free", 0)
