"""Raw-socket AMQP client that records what the server does.

A Script is one run of one scenario against one broker: it owns the connections, the unique names
and the transcript (a list of text lines). Frames are queued per channel as they arrive and
recorded when the scenario waits on that channel, so the transcript does not depend on how frames
of different channels interleave. Waiting is always for a named frame, bounded by PATIENCE;
"nothing more came" is proved by fence(), a round trip whose own frames are not recorded.

When the server closes a channel or a connection, later calls on it do nothing: a scenario reads
as the conversation that is expected and need not test for failure at each step.
"""

import collections
import os
import socket
import time
import urllib.parse

import amqp

PATIENCE = 5.0        # seconds to wait for a frame that should come
CLOSE_PATIENCE = 12.0  # seconds to wait for the server to drop TCP
POLL = 0.02           # seconds between questions about what is not announced
ASKING = 2000         # the channel on which they are asked
AT_ONCE = 2.0         # a socket that ends sooner than this ended "at once"

CAPABILITIES = {"publisher_confirms": True, "exchange_exchange_bindings": True,
                "basic.nack": True, "consumer_cancel_notify": True, "connection.blocked": True,
                "authentication_failure_close": True}

REPLIES = {"basic.get": ("basic.get-ok", "basic.get-empty")}
CONTENT = ("basic.deliver", "basic.return", "basic.get-ok")


class Url:
    """Host, port, credentials and vhost of an amqp:// address."""

    def __init__(self, text):
        u = urllib.parse.urlsplit(text)
        self.host, self.port = u.hostname or "127.0.0.1", u.port or 5672
        self.user = urllib.parse.unquote(u.username or "guest")
        self.password = urllib.parse.unquote(u.password or "guest")
        self.vhost = urllib.parse.unquote(u.path[1:]) or "/"


class Message:
    """A method with its content, as received."""

    def __init__(self, frame, header, body):
        self.name, self.args = frame.name, frame.args
        self.tag = frame.args.get("delivery-tag")
        self.header, self.body = header, body


class Conn:
    """One TCP connection."""

    def __init__(self, script, label):
        self.script, self.label, self.url = script, label, script.url
        self.sock = socket.create_connection((self.url.host, self.url.port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf, self.pending = b"", collections.defaultdict(collections.deque)
        self.eof, self.over, self.sent_at = False, False, time.monotonic()
        self.auto_close, self.quiet = True, False

    def log(self, text):
        if not self.quiet:
            self.script.log(text)

    # ---- output ----

    def write(self, data):
        """Send raw bytes, unrecorded. A peer that has gone shows up when reading."""
        if self.over:
            return
        self.sent_at = time.monotonic()
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def raw(self, data, note):
        self.log("> %s %s" % (self.label, note))
        self.write(data)

    def send_frame(self, ftype, channel, payload, note, end=amqp.FRAME_END):
        self.raw(amqp.frame(ftype, channel, payload, end), "%d %s" % (channel, note))

    def send(self, channel, name, **args):
        shown = "".join(" %s=%s" % (k.rstrip("_").replace("_", "-"), brief(v))
                        for k, v in args.items())
        self.send_frame(amqp.FRAME_METHOD, channel, amqp.method(name, **args), name + shown)

    # ---- input ----

    def _parse(self):
        while len(self.buf) >= 8:
            if self.buf.startswith(b"AMQP"):
                f = amqp.Frame(0, 0, self.buf[:8])
                f.name = "protocol-header"
                f.line = "protocol-header %d %d %d %d" % tuple(self.buf[4:8])
                self.buf = self.buf[8:]
            else:
                size = int.from_bytes(self.buf[3:7], "big")
                if len(self.buf) < size + 8:
                    return
                f = amqp.Frame(self.buf[0], int.from_bytes(self.buf[1:3], "big"),
                               self.buf[7:7 + size])
                if self.buf[7 + size] != amqp.FRAME_END:
                    f.line += " bad-end=%02x" % self.buf[7 + size]
                self.buf = self.buf[size + 8:]
            self.pending[f.channel].append(f)

    def pump(self, deadline):
        """Read once. False when the deadline passed or the socket ended."""
        left = deadline - time.monotonic()
        if self.eof or left <= 0:
            return False
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(262144)
        except socket.timeout:
            return False
        except OSError:
            data = b""
        self.eof = not data
        self.buf += data
        self._parse()
        return True

    def _record(self, f):
        self.log("< %s/%d %s" % (self.label, f.channel, f.line))

    def _on_connection_close(self):
        """True when the server's connection.close is waiting: see the connection to its end."""
        if not any(f.name == "connection.close" for f in self.pending[0]):
            return False
        while self.pending[0][0].name != "connection.close":
            self._record(self.pending[0].popleft())
        self.closed()
        return True

    def next(self, channel, deadline):
        """The next frame on a channel, unrecorded; None when there is none by the deadline or the
        connection ended (which is then recorded)."""
        while not self.over:
            if self.pending[channel] and not (channel == 0 and self.auto_close and
                                              self.pending[0][0].name == "connection.close"):
                return self.pending[channel].popleft()
            if self.auto_close and self._on_connection_close():
                return None
            if not self.pump(deadline):
                if self.eof:
                    self.closed()
                return None
        return None

    def wait(self, names, channel=0, timeout=PATIENCE, silent=()):
        """Record frames on a channel up to the first one named. Returns it, or None. Heartbeats
        come when they like and are recorded only where waited for."""
        names = (names,) if isinstance(names, str) else names
        deadline = time.monotonic() + timeout
        while not self.over:
            f = self.next(channel, deadline)
            if f is None:
                break
            if f.name not in silent and (f.name != "heartbeat" or "heartbeat" in names):
                self._record(f)
            if f.name in names or f.name == "channel.close":
                return f
        if not self.over:
            self.log("! nothing came, waited for " + " or ".join(names))
        return None

    def call(self, name, **args):
        """A method on channel 0 and its reply."""
        self.send(0, name, **args)
        return self.wait(name + "-ok")

    def closed(self, timeout=CLOSE_PATIENCE):
        """Record everything up to the end of the socket, and whether it ended at once or later.
        A connection.close from the server is answered."""
        if self.over:
            return
        deadline, answered = time.monotonic() + timeout, not self.auto_close
        while True:
            if not answered and any(f.name == "connection.close" for f in self.pending[0]):
                self.write(amqp.frame(1, 0, amqp.method("connection.close-ok")))
                answered = True
            if not self.pump(deadline):
                break
        self._drain()
        if self.buf:
            self.log("< %s part of a frame %s" % (self.label, amqp.show(self.buf)))
        took = time.monotonic() - self.sent_at
        self.log("< %s %s" % (self.label, "still open" if not self.eof else
                              "closed at once" if took < AT_ONCE else "closed after a wait"))
        self.over = True
        self.sock.close()

    def _drain(self):
        for number in sorted(self.pending):
            while self.pending[number]:
                f = self.pending[number].popleft()
                if f.name != "heartbeat":
                    self._record(f)

    def drop(self):
        """End the socket without a close handshake."""
        if self.over:
            return
        self.log("> %s drops TCP" % self.label)
        self._drain()
        self.over = True
        self.sock.close()

    def close(self):
        """The close handshake, recorded only where it is not the usual one. Frames that no one
        waited for are recorded."""
        if self.over:
            return
        self.write(amqp.frame(1, 0, amqp.method("connection.close", reply_code=200)))
        self.wait("connection.close-ok", silent=("connection.close-ok",))
        self._drain()
        self.over = True
        self.sock.close()

    # ---- the usual handshake ----

    def handshake(self, properties=None, channel_max=2047, frame_max=131072, heartbeat=0):
        self.quiet = True
        self.write(amqp.PROTOCOL_HEADER)
        self.wait("connection.start")
        self.start_ok(properties)
        self.wait("connection.tune")
        self.send(0, "connection.tune-ok", channel_max=channel_max, frame_max=frame_max,
                  heartbeat=heartbeat)
        self.send(0, "connection.open", virtual_host=self.url.vhost)
        ok = self.wait("connection.open-ok")
        self.quiet = False
        if not ok:
            raise RuntimeError("no connection to the broker")
        self.log("> %s connects" % self.label)
        return self

    def start_ok(self, properties=None, user=None, password=None, mechanism="PLAIN", response=None):
        if properties is None:
            properties = {"capabilities": CAPABILITIES}
        if response is None:
            response = "\0%s\0%s" % (user or self.url.user, password or self.url.password)
        self.send(0, "connection.start-ok", client_properties=properties, mechanism=mechanism,
                  response=response, locale="en_US")

    def channel(self, number=1):
        ch = Channel(self, number)
        was, self.quiet = self.quiet, True
        self.send(number, "channel.open")
        self.wait("channel.open-ok", number)
        self.quiet = was
        return ch


class Channel:
    """One channel of a connection. After the server closed it, everything here does nothing."""

    def __init__(self, conn, number, auto_close=True):
        self.conn, self.number, self.over, self.auto_close = conn, number, False, auto_close

    def dead(self):
        return self.over or self.conn.over

    def send(self, name, **args):
        if not self.dead():
            self.conn.send(self.number, name, **args)
        return self

    def wait(self, names, timeout=PATIENCE, silent=()):
        """As Conn.wait; answers channel.close with close-ok."""
        if self.dead():
            return None
        f = self.conn.wait(names, self.number, timeout, silent)
        if f is not None and f.name == "channel.close" and self.auto_close:
            self.over = True
            self.conn.write(amqp.frame(1, self.number, amqp.method("channel.close-ok")))
        return f

    def call(self, name, **args):
        """Send a method and wait for its reply; basic.get returns a Message."""
        self.send(name, **args)
        f = self.wait(REPLIES.get(name, (name + "-ok",)))
        return self._content(f) if f is not None and f.name in CONTENT else f

    def _content(self, f):
        header = self.wait("header")
        body = b""
        while header is not None and len(body) < header.size:
            part = self.wait("body")
            if part is None or part.name != "body":
                break
            body += part.payload
        return Message(f, header, body)

    def expect(self, names, count=1):
        """Wait for a frame that the server sends by itself, with its content if it has one."""
        m = None
        for _ in range(count):
            f = self.wait(names)
            m = self._content(f) if f is not None and f.name in CONTENT else f
        return m

    def deliver(self, count=1):
        return self.expect("basic.deliver", count)

    def fence(self, queue=None, note=None):
        """Prove that nothing more comes, and that what was sent before has been handled, by round
        trips that are not recorded: two through the queue's process if one is named (RabbitMQ lets
        the first overtake messages on their way to the queue), then one through the channel's."""
        for _ in range(2 if queue is not None else 0):
            if not self.dead():
                self.conn.write(amqp.frame(1, self.number, amqp.method("queue.declare", queue=queue,
                                                                       passive=1)))
                self.wait("queue.declare-ok", silent=("queue.declare-ok",))
        if not self.dead():
            self.conn.write(amqp.frame(1, self.number, amqp.method("channel.flow", active=1)))
            self.wait("channel.flow-ok", silent=("channel.flow-ok",))
        if not self.dead():
            self.conn.log("= %s/%d nothing more%s" % (self.conn.label, self.number,
                                                      " " + note if note else ""))
        return self

    def until_ready(self, queue, count):
        """Ask, unrecorded, until the queue has that many ready messages: for what RabbitMQ does
        after it has answered."""
        deadline, conn = time.monotonic() + PATIENCE, self.conn
        while not self.dead() and time.monotonic() < deadline:
            conn.write(amqp.frame(1, self.number,
                    amqp.method("queue.declare", queue=queue, passive=1)))
            f = self.wait("queue.declare-ok", silent=("queue.declare-ok",))
            if f is not None and f.args.get("message-count") == count:
                return
            time.sleep(POLL)
        if not self.dead():
            conn.log("! never %d ready messages" % count)

    def until_gone(self, queue):
        """Ask on a channel of its own, unrecorded, until the queue does not exist."""
        deadline, conn = time.monotonic() + PATIENCE, self.conn
        while not self.dead() and time.monotonic() < deadline:
            conn.quiet = True
            f = conn.channel(ASKING).call("queue.declare", queue=queue, passive=1)
            if f is not None and f.name == "queue.declare-ok":
                Channel(conn, ASKING).call("channel.close")
            conn.quiet = False
            if f is not None and f.name == "channel.close":
                return
            time.sleep(POLL)
        if not self.dead():
            conn.log("! queue never gone")

    def confirms(self, upto, after=0):
        """Record the confirms for sequence numbers after+1..upto as sets, however merged."""
        got, deadline = {}, time.monotonic() + PATIENCE
        while not self.dead() and len(got) < upto - after:
            f = self.conn.next(self.number, deadline)
            if f is None:
                break
            if f.name not in ("basic.ack", "basic.nack"):
                self.conn._record(f)
                continue
            last = f.args["delivery-tag"]
            first = after + 1 if f.args["multiple"] else last
            for n in range(first, last + 1):
                if n not in got:
                    got[n] = f.name
                elif not f.args["multiple"]:
                    self.conn.log("! %d confirmed twice" % n)
        for kind in ("basic.ack", "basic.nack"):
            numbers = sorted(n for n in got if got[n] == kind)
            if numbers:
                self.conn.log("= %s confirmed %s" % (kind, ranges(numbers)))
        if len(got) != upto - after:
            self.conn.log("! confirms missing: %d of %d came" % (len(got), upto - after))

    # ---- shorthands: declare and friends are calls, publish sends content ----

    def declare(self, queue="", **args):
        f = self.call("queue.declare", queue=queue, **args)
        return f.args["queue"].decode() if f is not None and f.name == "queue.declare-ok" else queue

    def exchange(self, name, kind="direct", **args):
        return self.call("exchange.declare", exchange=name, type=kind, **args)

    def bind(self, queue, exchange, key="", arguments=None):
        return self.call("queue.bind", queue=queue, exchange=exchange, routing_key=key,
                         arguments=arguments)

    def consume(self, queue, tag="", **args):
        f = self.call("basic.consume", queue=queue, consumer_tag=tag, **args)
        ok = f is not None and f.name == "basic.consume-ok"
        return f.args["consumer-tag"].decode() if ok else tag

    def get(self, queue, no_ack=0):
        return self.call("basic.get", queue=queue, no_ack=no_ack)

    def publish(self, key, body="", exchange="", mandatory=0, immediate=0, **props):
        """Method, header and body frames in one write; the body is split at frame_max - 8."""
        if self.dead():
            return self
        body = amqp.to_bytes(body)
        data = amqp.frame(1, self.number, amqp.method("basic.publish", exchange=exchange,
                          routing_key=key, mandatory=mandatory, immediate=immediate))
        data += amqp.frame(2, self.number, amqp.header(len(body), props))
        for i in range(0, len(body), 131064):
            data += amqp.frame(3, self.number, body[i:i + 131064])
        flags = (" mandatory" if mandatory else "") + (" immediate" if immediate else "")
        shown = "".join(" %s=%s" % (k, brief(v)) for k, v in props.items())
        self.conn.raw(data, "%d basic.publish exchange=%s key=%s%s%s body=%s" % (
            self.number, brief(exchange), brief(key), flags, shown, amqp.show_body(body)))
        return self

    def close(self):
        """The client's channel.close handshake."""
        self.call("channel.close", reply_code=200)
        self.over = True


class Script:
    """One run of a scenario against one broker."""

    def __init__(self, url):
        self.url, self.lines, self.conns = url, [], []
        self.token = os.urandom(5).hex()
        self.queues, self.exchanges = [], []

    def log(self, text):
        self.lines.append(text)

    def q(self, name="q"):
        """A queue name that is this script's own; the queue is deleted afterwards."""
        self.queues.append("d%s-%s" % (self.token, name))
        return self.queues[-1]

    def x(self, name="x"):
        """Likewise an exchange name."""
        self.exchanges.append("d%s-%s" % (self.token, name))
        return self.exchanges[-1]

    def connect(self, handshake=True, **how):
        conn = Conn(self, "ABCDEFGH"[len(self.conns)])
        self.conns.append(conn)
        return conn.handshake(**how) if handshake else conn

    def channel(self, **how):
        """A new connection and channel 1 on it."""
        return self.connect(**how).channel(1)

    def finish(self):
        for conn in self.conns:
            conn.quiet = False
            conn.close()

    def abandon(self):
        for conn in self.conns:
            conn.sock.close()

    def clean(self):
        """Delete this script's queues and exchanges, unrecorded."""
        if not self.queues and not self.exchanges:
            return
        kept, self.lines = self.lines, []
        ch = self.channel()
        for name in self.queues:
            if ch.over:
                ch = ch.conn.channel(1)
            ch.call("queue.delete", queue=name)
        for name in self.exchanges:
            ch.call("exchange.delete", exchange=name)
        ch.conn.close()
        self.lines = kept


def brief(v):
    """A value as shown in the record of what was sent."""
    if isinstance(v, (str, bytes)):
        v = amqp.to_bytes(v)
        return amqp.show(v) if len(v) <= 255 else amqp.show_body(v)
    text = repr(v)
    return text if len(text) <= 160 else "%s..%d more" % (text[:80], len(text) - 80)


def ranges(numbers):
    """[1, 2, 3, 7] as '1-3 7'."""
    out = []
    for n in numbers:
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return " ".join("%d" % a if a == b else "%d-%d" % (a, b) for a, b in out)
