"""The load: publishers with confirm windows, a transaction publisher, acking consumers, and the
drain that empties every queue. Each worker is one thread with one connection; it ends when the
connection does. An end that the round did not ask for is a violation.
"""
import random
import select
import struct
import threading
import time

import ledger
import wire

QUEUES = ["d0", "d1", "d2", "d3", "d4"]
FANOUT, FANOUT_QUEUES = "dfan", ["d2", "d3", "d4"]
CONSUMED = ["d0", "d1", "d2", "d3"]          # d4 only fills, until it is drained
SETTLE = "dsettle"
TX_QUEUES = ["dtxa", "dtxb"]
ALL_QUEUES = QUEUES + TX_QUEUES + [SETTLE]
WINDOWS = [1, 50, 200, 1000]
SETTLER, TX_PUBLISHER, DRAINER = 100, 101, 102
PREFETCH = 300


def declare_topology(the_ledger, numbers, port):
    """What was declared is durable when a persistent publish after it is confirmed."""
    connection = wire.Connection(port)
    connection.confirm_select()
    for queue in ALL_QUEUES:
        connection.queue_declare(queue)
    connection.exchange_declare(FANOUT, "fanout")
    for queue in FANOUT_QUEUES:
        connection.queue_bind(queue, FANOUT)
    data = ledger.body(DRAINER, numbers.take(DRAINER), the_ledger.session, True, 40)
    connection.call(wire.publish("", SETTLE, data, wire.PERSISTENT), wire.ACK)
    connection.close()


class Numbers:
    """Hands out message numbers per publisher, growing over the whole run."""

    def __init__(self):
        self.next = {}

    def take(self, publisher):
        number = self.next.get(publisher, 0)
        self.next[publisher] = number + 1
        return number


class Worker(threading.Thread):
    def __init__(self, load, name, seed):
        super().__init__(name=name, daemon=True)
        self.load, self.random = load, random.Random(seed)
        self.connection = self.end = None

    def run(self):
        try:
            self.connection = wire.Connection(self.load.port)
            self.work()
        except wire.Closed as closed:
            self.end = str(closed)
            if not self.load.ending:
                self.fail(str(closed))
        except Exception as error:                      # a worker must not die unnoticed
            self.fail(repr(error))
        finally:
            if self.connection is not None:
                self.connection.abandon()

    def fail(self, text):
        self.load.ledger.violation("%s: %s" % (self.name, text))
        self.load.reached.set()                         # the round is lost: no need to wait on


class Publisher(Worker):
    """Keeps up to `window` publishes unconfirmed."""

    def __init__(self, load, ident, window, seed):
        super().__init__(load, "publisher %d" % ident, seed)
        self.number, self.window = ident, window
        self.outstanding = {}                           # tag -> (queues, name, persistent, sent at)
        self.last_tag = self.lowest = 0

    def pick(self):
        """Returns exchange, key, queues, size, persistent."""
        r = self.random
        size = r.choice([20, 100, 100, 1000, 5000]) if r.random() < 0.98 else 50000
        persistent = r.random() < 0.9
        if r.random() < 0.3:
            return FANOUT, "", FANOUT_QUEUES, size, persistent
        queue = r.choice(QUEUES)
        return "", queue, [queue], size, persistent

    def batch(self, count):
        frames = []
        for _ in range(count):
            exchange, key, queues, size, persistent = self.pick()
            number = self.load.numbers.take(self.number)
            data = ledger.body(self.number, number, self.load.ledger.session, persistent, size)
            mode = wire.PERSISTENT if persistent else wire.TRANSIENT
            frames.append(wire.publish(exchange, key, data, mode))
            self.last_tag += 1
            entry = (queues, (self.number, number), persistent, time.monotonic())
            self.outstanding[self.last_tag] = entry
        return b"".join(frames)

    def confirmed(self, payload):
        tag, multiple = struct.unpack_from(">QB", payload, 4)
        first = self.lowest + 1 if multiple & 1 else tag
        for each in range(first, tag + 1):
            entry = self.outstanding.pop(each, None)
            if entry is not None:
                self.load.confirmed(self, *entry)
        if multiple & 1:
            self.lowest = tag

    def work(self):
        self.connection.confirm_select()
        while True:
            room = self.window - len(self.outstanding)
            if room > 0:
                self.connection.send(self.batch(self.random.randint(1, min(room, 20))))
            if room <= 0 or select.select([self.connection], [], [], 0)[0]:
                for _kind, name, payload in self.connection.frames():
                    if name == wire.ACK:
                        self.confirmed(payload)
                    elif name == wire.NACK:
                        self.load.ledger.violation(self.name + ": a publish was refused")


class Settler(Publisher):
    """One publish at a time to a queue nobody consumes: its confirm needs the disk."""

    def __init__(self, load, seed):
        super().__init__(load, SETTLER, 1, seed)

    def pick(self):
        return "", SETTLE, [SETTLE], 40, True


class TransactionPublisher(Worker):
    """Transactions of two messages to one queue and one to another; neither is consumed."""

    def __init__(self, load, seed):
        super().__init__(load, "transactions", seed)

    def work(self):
        self.connection.tx_select()
        while True:
            parts, frames = [], []
            for queue in (TX_QUEUES[0], TX_QUEUES[1], TX_QUEUES[0]):
                number = self.load.numbers.take(TX_PUBLISHER)
                data = ledger.body(TX_PUBLISHER, number, self.load.ledger.session, True, 200)
                frames.append(wire.publish("", queue, data, wire.PERSISTENT))
                parts.append((queue, (TX_PUBLISHER, number)))
            self.load.ledger.transaction(parts[0][1][1], parts)
            self.connection.send(b"".join(frames))
            self.connection.call(wire.method(90, 20), wire.TX_COMMIT_OK)
            for queue, name in parts:
                self.load.ledger.confirmed([queue], name, True)


class Consumer(Worker):
    """Acknowledges most of what it gets, singly or in ranges, sends some back, keeps some."""

    def __init__(self, load, queue, seed):
        super().__init__(load, "consumer of " + queue, seed)
        self.queue, self.order = queue, {}
        self.held = []                                  # (tag, name) not acknowledged
        self.acked, self.asked, self.synced = [], None, []

    def settle_frames(self):
        """Decides the fate of some of the held messages."""
        r = self.random.random()
        if r < 0.6 or len(self.held) > PREFETCH // 2:
            done, self.held = self.held, []
            data = wire.ack(done[-1][0], multiple=True)
        elif r < 0.8:
            self.random.shuffle(self.held)
            half = len(self.held) // 2
            done, self.held = self.held[:half], sorted(self.held[half:])
            data = b"".join(wire.ack(tag) for tag, _name in done)
        elif r < 0.9:
            done = []
            data = wire.nack_requeue(self.held.pop(self.random.randrange(len(self.held)))[0])
        else:
            return b""
        self.acked += [name for _tag, name in done]
        return data

    def sync_frames(self):
        """A request whose answer tells that the acks before it were processed."""
        if self.asked is not None or not self.acked:
            return b""
        self.asked, self.acked = self.acked, []
        return wire.qos(PREFETCH)

    def work(self):
        self.connection.call(wire.qos(PREFETCH), wire.QOS_OK)
        self.connection.consume(self.queue)
        assembler = wire.Assembler()
        while True:
            for kind, name, payload in self.connection.frames():
                if name == wire.QOS_OK:
                    self.synced.append((time.monotonic(), self.asked))
                    self.asked = None
                    continue
                message = assembler.feed(kind, name, payload)
                if message is not None:
                    tag, redelivered, data = message
                    found = self.load.ledger.delivered(self.queue, redelivered, data, self.order)
                    self.held.append((tag, found))
            data = (self.settle_frames() if self.held else b"") + self.sync_frames()
            if data:
                self.connection.send(data)


class Idle(Worker):
    """Does nothing but read what the broker says in the end."""

    def __init__(self, load):
        super().__init__(load, "idle connection", 0)

    def work(self):
        self.connection.frames()


class Load:
    """All workers of one lifetime of the broker."""

    def __init__(self, the_ledger, numbers, port, rng):
        self.ledger, self.numbers, self.port = the_ledger, numbers, port
        self.ending = False
        self.lock, self.goal, self.count = threading.Lock(), 0, 0
        self.reached = threading.Event()
        self.settled_until = 0.0
        seeds = iter(lambda: rng.getrandbits(32), None)
        self.settler = Settler(self, next(seeds))
        self.publishers = [Publisher(self, i, w, next(seeds)) for i, w in enumerate(WINDOWS)]
        self.consumers = [Consumer(self, q, next(seeds)) for q in CONSUMED if rng.random() < 0.8]
        self.workers = [self.settler, TransactionPublisher(self, next(seeds)), Idle(self)]
        self.workers += self.publishers + self.consumers

    def confirmed(self, publisher, queues, name, persistent, sent_at):
        self.ledger.confirmed(queues, name, persistent)
        with self.lock:
            if publisher is self.settler:
                self.settled_until = max(self.settled_until, sent_at)
            self.count += 1
            if self.count >= self.goal:
                self.reached.set()

    def run_until(self, confirms, timeout):
        """Starts the workers; returns whether that many confirms came in time."""
        self.goal = confirms
        for worker in self.workers:
            worker.start()
        return self.reached.wait(timeout)

    def finish(self, graceful=False):
        """The broker is gone: waits for the workers, then tells the ledger which acks are settled.
        After a graceful stop those are all that were processed, and every client was told."""
        for worker in self.workers:
            worker.join(60)
            if worker.is_alive():
                self.ledger.violation(worker.name + " did not notice that the broker is gone")
            elif graceful and not str(worker.end).startswith("320 "):
                self.ledger.violation("%s ended with %s, not 320" % (worker.name, worker.end))
        for consumer in self.consumers:
            for at, names in consumer.synced:
                if graceful or at < self.settled_until:
                    self.ledger.settle(consumer.queue, names)


def drain_queue(connection, queue, the_ledger):
    """Gets and acknowledges until the queue says it is empty. Returns the names."""
    names, order, assembler, empty = [], {}, wire.Assembler(), False
    while not empty:
        answers, last_tag = 0, 0
        connection.send(wire.get(queue) * 200)
        while answers < 200:
            for kind, name, payload in connection.frames():
                if name == wire.GET_EMPTY:
                    empty, answers = True, answers + 1
                    continue
                message = assembler.feed(kind, name, payload)
                if message is not None:
                    last_tag, redelivered, data = message
                    answers += 1
                    names.append(the_ledger.delivered(queue, redelivered, data, order))
        if last_tag:
            connection.send(wire.ack(last_tag, multiple=True))
    return names


def drain_all(the_ledger, numbers, port):
    """Empties every queue, settles the acks, and checks that nothing is missing."""
    connection = wire.Connection(port)
    connection.confirm_select()
    drained = {queue: drain_queue(connection, queue, the_ledger) for queue in ALL_QUEUES}
    connection.call(wire.qos(PREFETCH), wire.QOS_OK)
    name = (DRAINER, numbers.take(DRAINER))
    data = ledger.body(name[0], name[1], the_ledger.session, True, 40)
    connection.call(wire.publish("", SETTLE, data, wire.PERSISTENT), wire.ACK)
    connection.close()
    for queue, names in drained.items():
        the_ledger.settle(queue, names)
    the_ledger.check_drained()
    the_ledger.confirmed([SETTLE], name, True)
    return sum(len(names) for names in drained.values())
