"""A small AMQP 0-9-1 client on a plain socket, for load that a full client would slow down.

One thread uses a connection at a time. Channel 1 is opened at connect and carries everything.
Frames are handed out as (type, class and method or None, payload).
"""
import socket
import struct

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
PERSISTENT, TRANSIENT = 2, 1

CONNECTION_START, CONNECTION_TUNE, CONNECTION_OPEN_OK = (10, 10), (10, 30), (10, 41)
CONNECTION_CLOSE, CONNECTION_CLOSE_OK = (10, 50), (10, 51)
CHANNEL_OPEN_OK, CHANNEL_CLOSE = (20, 11), (20, 40)
EXCHANGE_DECLARE_OK, QUEUE_DECLARE_OK, QUEUE_BIND_OK = (40, 11), (50, 11), (50, 21)
QOS_OK, CONSUME_OK, DELIVER, GET_OK, GET_EMPTY = (60, 11), (60, 21), (60, 60), (60, 71), (60, 72)
ACK, NACK, SELECT_OK, TX_SELECT_OK, TX_COMMIT_OK = (60, 80), (60, 120), (85, 11), (90, 11), (90, 21)


class Closed(Exception):
    """The broker closed the connection or the channel, or is gone. Text says which."""


def short(text):
    data = text.encode()
    return bytes([len(data)]) + data


def frame(kind, payload, channel=1):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(class_id, method_id, args=b"", channel=1):
    return frame(METHOD, struct.pack(">HH", class_id, method_id) + args, channel)


def publish(exchange, key, body, mode):
    """The frames of one basic.publish with a delivery mode."""
    args = b"\0\0" + short(exchange) + short(key) + b"\0"
    header = struct.pack(">HHQHB", 60, 0, len(body), 0x1000, mode)
    return method(60, 40, args) + frame(HEADER, header) + frame(BODY, body)


def ack(tag, multiple=False):
    return method(60, 80, struct.pack(">QB", tag, multiple))


def nack_requeue(tag):
    return method(60, 120, struct.pack(">QB", tag, 2))


def qos(prefetch):
    return method(60, 10, struct.pack(">IHB", 0, prefetch, 0))


def get(queue):
    return method(60, 70, b"\0\0" + short(queue) + b"\0")


class Connection:
    FRAME_MAX = 131072

    def __init__(self, port, timeout=120):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise Closed(str(error)) from error
        self.buffer = b""
        self.pending = []
        self._handshake()

    def _handshake(self):
        self.send(b"AMQP\0\0\x09\x01")
        self.wait(CONNECTION_START)
        login = b"\0guest\0guest"
        args = struct.pack(">I", 0) + short("PLAIN") + struct.pack(">I", len(login)) + login
        self.send(method(10, 11, args + short("en_US"), 0))
        self.wait(CONNECTION_TUNE)
        self.send(method(10, 31, struct.pack(">HIH", 100, self.FRAME_MAX, 0), 0))
        self.send(method(10, 40, short("/") + b"\0\0", 0))
        self.wait(CONNECTION_OPEN_OK)
        self.call(method(20, 10, b"\0"), CHANNEL_OPEN_OK)

    def fileno(self):
        return self.socket.fileno()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Closed(str(error)) from error

    def frames(self):
        """All whole frames of at least one read; blocks until there is one."""
        found, self.pending = self.pending, []
        while not found:
            try:
                data = self.socket.recv(1 << 18)
            except OSError as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("end of stream")
            self.buffer += data
            found = self._split()
        return found

    def _split(self):
        found, at, buffer = [], 0, self.buffer
        while len(buffer) - at >= 8:
            kind, _channel, size = struct.unpack_from(">BHI", buffer, at)
            end = at + 7 + size
            if len(buffer) <= end:
                break
            if buffer[end] != 0xCE:
                raise Closed("a frame does not end with 0xCE")
            payload = buffer[at + 7:end]
            name = struct.unpack_from(">HH", payload) if kind == METHOD else None
            if name in (CONNECTION_CLOSE, CHANNEL_CLOSE):
                code, size = struct.unpack_from(">HB", payload, 4)
                if name == CONNECTION_CLOSE:
                    self.send(method(10, 51, channel=0))
                raise Closed("%d %s" % (code, payload[7:7 + size].decode(errors="replace")))
            if kind != HEARTBEAT:
                found.append((kind, name, payload))
            at = end + 1
        self.buffer = buffer[at:]
        return found

    def wait(self, name):
        """The payload of the next frame, which must be that method; deliveries are kept for later."""
        kept = []
        while True:
            frames = self.frames()
            for i, (_kind, found, payload) in enumerate(frames):
                if found == name:
                    self.pending = kept + frames[i + 1:]
                    return payload[4:]
                kept.append(frames[i])

    def call(self, request, answer):
        self.send(request)
        return self.wait(answer)

    def queue_declare(self, queue, passive=False):
        """Returns the number of ready messages."""
        args = b"\0\0" + short(queue) + (b"\1" if passive else b"\2") + struct.pack(">I", 0)
        answer = self.call(method(50, 10, args), QUEUE_DECLARE_OK)
        return struct.unpack_from(">I", answer, 1 + answer[0])[0]

    def exchange_declare(self, name, kind):
        args = b"\0\0" + short(name) + short(kind) + b"\2" + struct.pack(">I", 0)
        self.call(method(40, 10, args), EXCHANGE_DECLARE_OK)

    def queue_bind(self, queue, exchange, key=""):
        args = b"\0\0" + short(queue) + short(exchange) + short(key) + b"\0" + struct.pack(">I", 0)
        self.call(method(50, 20, args), QUEUE_BIND_OK)

    def consume(self, queue):
        args = b"\0\0" + short(queue) + short("") + b"\0" + struct.pack(">I", 0)
        self.call(method(60, 20, args), CONSUME_OK)

    def confirm_select(self):
        self.call(method(85, 10, b"\0"), SELECT_OK)

    def tx_select(self):
        self.call(method(90, 10), TX_SELECT_OK)

    def close(self):
        """Closes as a client should; an error when the broker does not answer."""
        self.send(method(10, 50, struct.pack(">HBHH", 200, 0, 0, 0), 0))
        self.wait(CONNECTION_CLOSE_OK)
        self.socket.close()

    def abandon(self):
        self.socket.close()


class Assembler:
    """Turns frames into messages: feed() returns (delivery tag, redelivered, body) or None."""

    def __init__(self):
        self.open = None

    def feed(self, kind, name, payload):
        if name == DELIVER or name == GET_OK:
            at = 5 + payload[4] if name == DELIVER else 4
            tag, redelivered = struct.unpack_from(">QB", payload, at)
            self.open = [tag, bool(redelivered & 1), None, []]
        elif kind == HEADER:
            self.open[2] = struct.unpack_from(">Q", payload, 4)[0]
        elif kind == BODY:
            self.open[3].append(payload)
            self.open[2] -= len(payload)
        if self.open is None or self.open[2] != 0:
            return None
        tag, redelivered, _left, parts = self.open
        self.open = None
        return tag, redelivered, b"".join(parts)
