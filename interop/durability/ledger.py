"""What the clients know: what was sent, confirmed, delivered, acknowledged; and so what must hold.

A message is named by (publisher, number); numbers of a publisher only grow. Rules checked here:
  1. a confirmed persistent message is delivered at least once from every queue it was routed to;
  2. per publisher and queue, deliveries not flagged redelivered come in the order of publishing,
     within one consumer and, for those never seen before, over the whole run;
  3. a message whose acknowledgement is settled does not come back without the redelivered flag;
     settled: the broker answered a later request on the channel of the ack, and after that took
     and confirmed a persistent publish;
  4. a transient message does not come back after a restart;
  5. of a transaction, every message is there or none.
Any thread; one lock.
"""
import threading
from collections import defaultdict

MODES = {b"P": True, b"T": False}


def body(publisher, number, session, persistent, size):
    head = b"%d %d %d %s " % (publisher, number, session, b"P" if persistent else b"T")
    return head + b"x" * max(0, size - len(head))


def parse(data):
    """Returns ((publisher, number), session, persistent)."""
    publisher, number, session, mode, filler = data.split(b" ", 4)
    if filler.strip(b"x"):
        raise ValueError("a body came back changed")
    return (int(publisher), int(number)), int(session), MODES[mode]


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.expected = defaultdict(set)     # queue -> names confirmed
        self.seen = defaultdict(set)         # queue -> names delivered at least once
        self.settled = defaultdict(set)      # queue -> names whose ack is settled
        self.newest = defaultdict(dict)      # queue -> publisher -> highest number first seen
        self.transactions = {}               # id -> [(queue, name)]
        self.session = 0                     # lifetimes of the broker so far
        self.violations = []
        self.settled_back_flagged = 0
        self.deliveries = 0
        self.confirms = 0

    def violation(self, text):
        with self.lock:
            self._violation(text)

    def _violation(self, text):
        self.violations.append(text)

    def confirmed(self, queues, name, persistent):
        with self.lock:
            self.confirms += 1
            if persistent:
                for queue in queues:
                    self.expected[queue].add(name)

    def delivered(self, queue, redelivered, data, order):
        """Checks one delivery. `order` is the consumer's own dict. Returns the message's name."""
        name, session, persistent = parse(data)
        publisher, number = name
        with self.lock:
            self.deliveries += 1
            what = "%s: message %d of publisher %d" % (queue, number, publisher)
            if not redelivered:
                if number <= order.get(publisher, -1):
                    self._violation(what + " came after %d" % order[publisher])
                order[publisher] = number
            if name not in self.seen[queue] and not redelivered:
                if number <= self.newest[queue].get(publisher, -1):
                    self._violation(what + " first came after a later one")
                self.newest[queue][publisher] = number
            if name in self.settled[queue]:
                if redelivered:
                    self.settled_back_flagged += 1
                else:
                    self._violation(what + " came back unflagged after its ack was settled")
            if not persistent and session != self.session:
                self._violation(what + " is transient and outlived a restart")
            self.seen[queue].add(name)
        return name

    def settle(self, queue, names):
        with self.lock:
            self.settled[queue].update(names)

    def transaction(self, ident, parts):
        with self.lock:
            self.transactions[ident] = parts

    def check_drained(self):
        """All queues are empty: what was confirmed must have been seen, transactions whole."""
        with self.lock:
            for queue, names in self.expected.items():
                missing = sorted(names - self.seen[queue])
                if missing:
                    self._violation("%s: %d confirmed messages missing, first %s"
                                    % (queue, len(missing), missing[:3]))
                    self.seen[queue].update(missing)    # reported once
            for ident, parts in self.transactions.items():
                there = sum(name in self.seen[queue] for queue, name in parts)
                if there not in (0, len(parts)):
                    self._violation("transaction %d: %d of %d messages there"
                                    % (ident, there, len(parts)))
            self.transactions.clear()
