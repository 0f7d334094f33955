"""pytest plugin: AMQPStorm's functional tests against a broker on $UPSTREAM_PORT, without the
management API.

The tests connect to the default port, and delete by the management API what they declared; here
the default is the broker's port, and they delete by AMQP.
"""

import os

import amqpstorm
from amqpstorm.tests import HOST, PASSWORD, USERNAME
from amqpstorm.tests.functional import utility


def clean(names, queue=False, exchange=False):
    with amqpstorm.Connection(HOST, USERNAME, PASSWORD) as connection:
        channel = connection.channel()
        for name in names:
            if queue:
                channel.queue.delete(name)
            if exchange:
                channel.exchange.delete(name)


amqpstorm.Connection.__init__.__defaults__ = (int(os.environ["UPSTREAM_PORT"]),)
utility.clean = clean
