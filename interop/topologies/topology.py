"""What scenarios are made of: queues and exchanges of this run, a publisher, a consumer."""
import os

import pika

RUN = "leveret.topology.%d-%s" % (os.getpid(), os.urandom(4).hex())
WAIT_S = 120          # without a message for so long, a scenario has failed


class Failed(Exception):
    """An assertion of a scenario does not hold."""


def same(what, got, want):
    if got != want:
        raise Failed("%s: got %.300r, want %.300r" % (what, got, want))


class Place:
    """One connection's channel, and the queues and exchanges made on it."""

    def __init__(self, uri):
        self.connection = pika.BlockingConnection(pika.URLParameters(uri))
        self.channel = self.connection.channel()
        self.queues, self.exchanges = [], []

    def queue(self, name, **arguments):
        name = RUN + "." + name
        self.queues.append(name)
        self.channel.queue_declare(name, durable=True,
                                   arguments={"x-" + k.replace("_", "-"): v
                                              for k, v in arguments.items()})
        return name

    def exchange(self, name):
        name = RUN + "." + name
        self.exchanges.append(name)
        self.channel.exchange_declare(name, "direct", durable=True)
        return name

    def ready(self, queue):
        return self.channel.queue_declare(queue, passive=True).method.message_count

    def drain(self, queue):
        """Everything that is in a queue: [(properties, body)]."""
        got = []
        while True:
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            if method is None:
                return got
            got.append((properties, int(body)))

    def again(self, uri):
        """The same queues and exchanges on a new connection: the old one is gone."""
        fresh = Place(uri)
        fresh.queues, fresh.exchanges = self.queues, self.exchanges
        return fresh

    def close(self):
        for queue in self.queues:
            self.channel.queue_delete(queue)
        for exchange in self.exchanges:
            self.channel.exchange_delete(exchange)
        self.connection.close()


class Publisher:
    """Publishes without waiting and counts the confirms, which pika's blocking channel does not."""

    def __init__(self, uri, exchange, key, numbers, on_confirm=None):
        self.numbers, self.open, self.refused, self.confirmed = list(numbers), set(), 0, 0
        self.exchange, self.key, self.on_confirm = exchange, key, on_confirm
        self.properties = pika.BasicProperties(delivery_mode=2)
        self.connection = pika.SelectConnection(
            pika.URLParameters(uri), on_open_callback=self._opened,
            on_open_error_callback=self._lost, on_close_callback=self._lost)

    def run(self):
        """Returns the numbers that were not confirmed: some when the connection was lost."""
        self.connection.ioloop.start()
        same("publishes refused", self.refused, 0)
        return [self.numbers[tag - 1] for tag in sorted(self.open)]

    def _opened(self, connection):
        connection.channel(on_open_callback=self._go)

    def _go(self, channel):
        channel.confirm_delivery(self._confirmed)
        self.open.update(range(1, len(self.numbers) + 1))
        for n in self.numbers:
            channel.basic_publish(self.exchange, self.key, b"%d" % n, self.properties)

    def _confirmed(self, frame):
        tag = frame.method.delivery_tag
        done = range(self.confirmed + 1, tag + 1) if frame.method.multiple else (tag,)
        was = len(self.open)
        self.open.difference_update(done)
        if isinstance(frame.method, pika.spec.Basic.Nack):
            self.refused += was - len(self.open)
        while self.confirmed < len(self.numbers) and self.confirmed + 1 not in self.open:
            self.confirmed += 1
        if self.on_confirm:
            self.on_confirm(self.confirmed)
        if not self.open and self.connection.is_open:
            self.connection.close()

    def _lost(self, _connection, _reason):
        self.connection.ioloop.stop()


def publish(uri, exchange, key, count):
    same("publishes not confirmed", Publisher(uri, exchange, key, range(count)).run(), [])


def deaths(properties):
    """x-death as [(queue, reason, count, exchange, keys, expiration)]."""
    return [(d["queue"], d["reason"], d["count"], d["exchange"], d["routing-keys"],
             d.get("original-expiration"))
            for d in (properties.headers or {}).get("x-death", [])]


def consume(place, queue, handle, until, prefetch=200):
    """Hand deliveries to handle(method, properties, number) until that holds."""
    place.channel.basic_qos(prefetch_count=prefetch)
    for method, properties, body in place.channel.consume(queue, inactivity_timeout=WAIT_S):
        if method is None:
            raise Failed("no delivery for %d s" % WAIT_S)
        handle(method, properties, int(body))
        if until():
            break
    place.channel.cancel()
