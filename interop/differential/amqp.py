"""AMQP 0-9-1 codec for the differential test: methods, properties, field tables and frames.

Encodes whatever a scenario asks for, wrong values included; decodes what a server sends and
renders it as one line of text that keeps every field and every wire type. Knows no sockets.
"""

import struct

FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

# name: (class, method, "field:type ..."). Types: o octet, h short, l long, q longlong, s shortstr,
# S longstr, F table, b bit.
_METHODS = """
connection.start 10 10 version-major:o version-minor:o server-properties:F mechanisms:S locales:S
connection.start-ok 10 11 client-properties:F mechanism:s response:S locale:s
connection.secure 10 20 challenge:S
connection.secure-ok 10 21 response:S
connection.tune 10 30 channel-max:h frame-max:l heartbeat:h
connection.tune-ok 10 31 channel-max:h frame-max:l heartbeat:h
connection.open 10 40 virtual-host:s capabilities:s insist:b
connection.open-ok 10 41 known-hosts:s
connection.close 10 50 reply-code:h reply-text:s class-id:h method-id:h
connection.close-ok 10 51
connection.blocked 10 60 reason:s
connection.unblocked 10 61
connection.update-secret 10 70 new-secret:S reason:s
connection.update-secret-ok 10 71
channel.open 20 10 out-of-band:s
channel.open-ok 20 11 channel-id:S
channel.flow 20 20 active:b
channel.flow-ok 20 21 active:b
channel.close 20 40 reply-code:h reply-text:s class-id:h method-id:h
channel.close-ok 20 41
access.request 30 10 realm:s exclusive:b passive:b active:b write:b read:b
access.request-ok 30 11 ticket:h
exchange.declare 40 10 ticket:h exchange:s type:s passive:b durable:b auto-delete:b internal:b \
nowait:b arguments:F
exchange.declare-ok 40 11
exchange.delete 40 20 ticket:h exchange:s if-unused:b nowait:b
exchange.delete-ok 40 21
exchange.bind 40 30 ticket:h destination:s source:s routing-key:s nowait:b arguments:F
exchange.bind-ok 40 31
exchange.unbind 40 40 ticket:h destination:s source:s routing-key:s nowait:b arguments:F
exchange.unbind-ok 40 51
queue.declare 50 10 ticket:h queue:s passive:b durable:b exclusive:b auto-delete:b nowait:b \
arguments:F
queue.declare-ok 50 11 queue:s message-count:l consumer-count:l
queue.bind 50 20 ticket:h queue:s exchange:s routing-key:s nowait:b arguments:F
queue.bind-ok 50 21
queue.purge 50 30 ticket:h queue:s nowait:b
queue.purge-ok 50 31 message-count:l
queue.delete 50 40 ticket:h queue:s if-unused:b if-empty:b nowait:b
queue.delete-ok 50 41 message-count:l
queue.unbind 50 50 ticket:h queue:s exchange:s routing-key:s arguments:F
queue.unbind-ok 50 51
basic.qos 60 10 prefetch-size:l prefetch-count:h global:b
basic.qos-ok 60 11
basic.consume 60 20 ticket:h queue:s consumer-tag:s no-local:b no-ack:b exclusive:b nowait:b \
arguments:F
basic.consume-ok 60 21 consumer-tag:s
basic.cancel 60 30 consumer-tag:s nowait:b
basic.cancel-ok 60 31 consumer-tag:s
basic.publish 60 40 ticket:h exchange:s routing-key:s mandatory:b immediate:b
basic.return 60 50 reply-code:h reply-text:s exchange:s routing-key:s
basic.deliver 60 60 consumer-tag:s delivery-tag:q redelivered:b exchange:s routing-key:s
basic.get 60 70 ticket:h queue:s no-ack:b
basic.get-ok 60 71 delivery-tag:q redelivered:b exchange:s routing-key:s message-count:l
basic.get-empty 60 72 cluster-id:s
basic.ack 60 80 delivery-tag:q multiple:b
basic.reject 60 90 delivery-tag:q requeue:b
basic.recover-async 60 100 requeue:b
basic.recover 60 110 requeue:b
basic.recover-ok 60 111
basic.nack 60 120 delivery-tag:q multiple:b requeue:b
confirm.select 85 10 nowait:b
confirm.select-ok 85 11
tx.select 90 10
tx.select-ok 90 11
tx.commit 90 20
tx.commit-ok 90 21
tx.rollback 90 30
tx.rollback-ok 90 31
"""

BY_NAME, BY_ID = {}, {}
for _line in _METHODS.split("\n"):
    if _line:
        _w = _line.split()
        _fields = [tuple(f.split(":")) for f in _w[3:]]
        BY_NAME[_w[0]] = (int(_w[1]), int(_w[2]), _fields)
        BY_ID[(int(_w[1]), int(_w[2]))] = (_w[0], _fields)

# Property flags from bit 15 down.
PROPERTIES = [("content-type", "s"), ("content-encoding", "s"), ("headers", "F"),
              ("delivery-mode", "o"), ("priority", "o"), ("correlation-id", "s"),
              ("reply-to", "s"), ("expiration", "s"), ("message-id", "s"), ("timestamp", "q"),
              ("type", "s"), ("user-id", "s"), ("app-id", "s"), ("cluster-id", "s")]

_FIXED = {"I": ">i", "b": ">b", "B": ">B", "s": ">h", "u": ">H", "i": ">I", "l": ">q", "L": ">q",
          "f": ">f", "d": ">d", "t": ">B", "T": ">Q"}


def to_bytes(v):
    return v if isinstance(v, bytes) else str(v).encode()


def show(data):
    """Bytes as quoted text: printable ASCII as is, the rest escaped."""
    out = "".join(chr(b) if 32 <= b < 127 and b not in (34, 92) else "\\x%02x" % b for b in data)
    return '"' + out + '"'


# ---- encoding ----

def shortstr(v):
    b = to_bytes(v)
    return bytes([len(b)]) + b


def longstr(v):
    b = to_bytes(v)
    return struct.pack(">I", len(b)) + b


def _guess(v):
    """The wire type of a plain Python value; a tuple (type, value) names it outright."""
    if isinstance(v, tuple):
        return v
    if v is None:
        return "V", None
    if isinstance(v, bool):
        return "t", v
    if isinstance(v, int):
        return ("I" if -2**31 <= v < 2**31 else "l"), v
    if isinstance(v, float):
        return "d", v
    if isinstance(v, dict):
        return "F", v
    if isinstance(v, list):
        return "A", v
    return "S", v


def value(v):
    """One typed field value. An unknown type letter is written followed by the raw bytes given."""
    t, v = _guess(v)
    head = t.encode()
    if t in _FIXED:
        return head + struct.pack(_FIXED[t], v)
    if t in "Sx":
        return head + longstr(v)
    if t == "F":
        return head + table(v)
    if t == "A":
        return head + longstr(b"".join(value(x) for x in v))
    if t == "D":
        return head + struct.pack(">BI", *v)
    return head + (v or b"")


def pairs(t):
    """The body of a table: a dict, or a list of pairs when keys repeat."""
    items = t.items() if isinstance(t, dict) else t
    return b"".join(shortstr(k) + value(v) for k, v in items)


def table(t):
    return longstr(t if isinstance(t, bytes) else pairs(t or {}))


_ENC = {"o": lambda v: struct.pack(">B", v or 0), "h": lambda v: struct.pack(">H", v or 0),
        "l": lambda v: struct.pack(">I", v or 0), "q": lambda v: struct.pack(">Q", v or 0),
        "s": lambda v: shortstr(v if v is not None else ""),
        "S": lambda v: longstr(v if v is not None else ""), "F": table}


def fields(spec, args):
    out, bits, nbits = b"", 0, 0
    for name, typ in spec:
        if typ == "b":
            bits |= (1 if args.get(name) else 0) << nbits
            nbits += 1
            continue
        if nbits:
            out, bits, nbits = out + bytes([bits]), 0, 0
        out += _ENC[typ](args.get(name))
    return out + (bytes([bits]) if nbits else b"")


def method(name, **args):
    """The payload of a method frame. Argument names use '_' for '-'; absent ones are zero."""
    cls, mid, spec = BY_NAME[name]
    args = {k.rstrip("_").replace("_", "-"): v for k, v in args.items()}
    unknown = set(args) - {f for f, _ in spec}
    if unknown:
        raise ValueError("%s has no field %s" % (name, sorted(unknown)))
    return struct.pack(">HH", cls, mid) + fields(spec, args)


def header(size, props, cls=60, weight=0):
    flags, out = 0, b""
    for i, (name, typ) in enumerate(PROPERTIES):
        v = props.get(name.replace("-", "_"))
        if v is not None:
            flags |= 1 << (15 - i)
            out += _ENC[typ](v)
    return struct.pack(">HHQH", cls, weight, size, flags) + out


def frame(ftype, channel, payload, end=FRAME_END):
    return struct.pack(">BHI", ftype, channel, len(payload)) + payload + bytes([end])


# ---- decoding ----

class Cursor:
    """Reads fields off a payload; raises ValueError past its end."""

    def __init__(self, data):
        self.data, self.pos = data, 0

    def take(self, n):
        if self.pos + n > len(self.data):
            raise ValueError("short payload")
        self.pos += n
        return self.data[self.pos - n:self.pos]

    def num(self, fmt):
        return struct.unpack(fmt, self.take(struct.calcsize(fmt)))[0]

    def shortstr(self):
        return self.take(self.num(">B"))

    def longstr(self):
        return self.take(self.num(">I"))

    def left(self):
        return self.pos < len(self.data)


def show_value(c):
    t = chr(c.num(">B"))
    if t in _FIXED:
        v = c.num(_FIXED[t])
        return t + (repr(v) if t in "fd" else str(v))
    if t in "Sx":
        return t + show(c.longstr())
    if t == "F":
        return t + show_table(c.longstr())
    if t == "A":
        inner, out = Cursor(c.longstr()), []
        while inner.left():
            out.append(show_value(inner))
        return t + "[" + ", ".join(out) + "]"
    if t == "D":
        return "D%d:%d" % (c.num(">B"), c.num(">I"))
    if t == "V":
        return t
    raise ValueError("unknown field type " + repr(t))


def show_table(data):
    c, out = Cursor(data), []
    while c.left():
        key = c.shortstr()
        out.append(key.decode("utf-8", "backslashreplace") + ": " + show_value(c))
    return "{" + ", ".join(out) + "}"


def _decode(c, spec):
    """Yields (name, text, raw) for each field."""
    out, bits, nbits = [], 0, 8
    for name, typ in spec:
        if typ == "b":
            if nbits == 8:
                bits, nbits = c.num(">B"), 0
            raw, nbits = (bits >> nbits) & 1, nbits + 1
            out.append((name, str(raw), raw))
            continue
        nbits = 8
        if typ in "sS":
            raw = c.shortstr() if typ == "s" else c.longstr()
            out.append((name, show(raw), raw))
        elif typ == "F":
            raw = c.longstr()
            out.append((name, show_table(raw), raw))
        else:
            raw = c.num({"o": ">B", "h": ">H", "l": ">I", "q": ">Q"}[typ])
            out.append((name, str(raw), raw))
    return out


class Frame:
    """A received frame: kind, channel, rendered line, and for methods the raw fields."""

    def __init__(self, ftype, channel, payload):
        self.type, self.channel, self.payload = ftype, channel, payload
        self.name, self.args, self.size = None, {}, 0
        self.line = self._render()

    def _render(self):
        try:
            if self.type == FRAME_METHOD:
                return self._render_method()
            if self.type == FRAME_HEADER:
                return self._render_header()
        except (ValueError, KeyError) as e:
            return "undecodable %s %s" % (show(self.payload), e)
        if self.type == FRAME_BODY:
            self.name = "body"
            return "body %d %s" % (len(self.payload), show_body(self.payload))
        self.name = "heartbeat" if self.type == FRAME_HEARTBEAT else "frame"
        return "%s type=%d %s" % (self.name, self.type, show(self.payload))

    def _render_method(self):
        c = Cursor(self.payload)
        ids = (c.num(">H"), c.num(">H"))
        self.name, spec = BY_ID[ids]
        decoded = _decode(c, spec)
        self.args = {n: raw for n, _, raw in decoded}
        tail = " trailing=" + show(c.data[c.pos:]) if c.left() else ""
        text = "".join(" %s=%s" % (n, t) for n, t, _ in decoded)
        return "%s (%d,%d)%s%s" % (self.name, ids[0], ids[1], text, tail)

    def _render_header(self):
        c = Cursor(self.payload)
        self.name = "header"
        cls, weight, self.size, flags = c.num(">H"), c.num(">H"), c.num(">Q"), c.num(">H")
        spec = [p for i, p in enumerate(PROPERTIES) if flags & (1 << (15 - i))]
        text = "".join(" %s=%s" % (n, t) for n, t, _ in _decode(c, spec))
        extra = " flags=%04x" % flags if flags & 3 else ""
        return "header class=%d weight=%d size=%d%s%s" % (cls, weight, self.size, extra, text)


def show_body(data):
    """Short bodies in full, long ones by their ends and a checksum."""
    if len(data) <= 64:
        return show(data)
    import zlib
    return "%s...%s crc=%08x" % (show(data[:8]), show(data[-8:]), zlib.crc32(data))
