"""Protocol header, SASL, tune, open: everything up to a running connection."""

import amqp
from client import CAPABILITIES
from registry import each, scenario

NO_CAPABILITIES = {"product": "differential"}
AUTH_CLOSE = {"capabilities": {"authentication_failure_close": True}}


def fresh(s):
    return s.connect(handshake=False)


def started(s):
    """A connection that has been sent connection.start, unrecorded."""
    c = fresh(s)
    c.write(amqp.PROTOCOL_HEADER)
    c.quiet = True
    c.wait("connection.start")
    c.quiet = False
    return c


def tuned(s):
    """A connection that has been sent connection.tune, unrecorded."""
    c = started(s)
    c.quiet = True
    c.start_ok()
    c.wait("connection.tune")
    c.quiet = False
    return c


def prove_running(c):
    """Show that the connection works: a channel opens."""
    c.send(1, "channel.open")
    c.wait("channel.open-ok", 1)


# ---- protocol header ----

@each("handshake/header", {
    "0-9-1": b"AMQP\0\0\x09\x01", "0-9": b"AMQP\x01\x01\0\x09", "0-8": b"AMQP\x01\x01\x08\0",
    "1-0": b"AMQP\0\x01\0\0", "1-0-sasl": b"AMQP\x03\x01\0\0", "1-0-tls": b"AMQP\x02\x01\0\0",
    "0-10": b"AMQP\x01\x01\0\x0a", "0-0-9-2": b"AMQP\0\0\x09\x02", "0-0-9-0": b"AMQP\0\0\x09\0",
    "0-0-10-0": b"AMQP\0\0\x0a\0", "0-0-8-0": b"AMQP\0\0\x08\0", "id-1": b"AMQP\x01\0\x09\x01",
    "zeroes": b"AMQP\0\0\0\0", "http": b"GET / HTTP/1.1\r\n\r\n", "lower-case": b"amqp\0\0\x09\x01",
    "tls": b"\x16\x03\x01\x02\0\x01\0\x01", "nul": b"\0" * 8,
    "amq-then-other": b"AMQX\0\0\x09\x01"})
def header(s, data):
    c = fresh(s)
    c.raw(data, "sends " + amqp.show(data))
    f = c.wait(("connection.start", "protocol-header"))
    if f is not None and f.name == "protocol-header":
        c.closed()
    c.drop()


@scenario("handshake/header/byte-by-byte")
def header_bytes(s):
    c = fresh(s)
    for i in range(8):
        c.raw(amqp.PROTOCOL_HEADER[i:i + 1], "header byte %d" % i)
    c.wait("connection.start")
    c.drop()


@scenario("handshake/header/twice", slow=True)
def header_twice(s):
    c = started(s)
    c.raw(amqp.PROTOCOL_HEADER, "protocol header again")
    c.closed()


# ---- authentication ----

LOGIN = [("LOGIN", "guest"), ("PASSWORD", "guest")]

MECHANISMS = {
    "plain": ("PLAIN", b"\0guest\0guest"),
    "amqplain": ("AMQPLAIN", amqp.pairs(LOGIN)),
    "amqplain-swapped": ("AMQPLAIN", amqp.pairs(LOGIN[::-1])),
    "amqplain-extra-key": ("AMQPLAIN", amqp.pairs([("X", 1)] + LOGIN)),
    "amqplain-binary-type": ("AMQPLAIN", amqp.pairs([(k, ("x", v)) for k, v in LOGIN])),
    "amqplain-one-binary": ("AMQPLAIN", amqp.pairs([LOGIN[0], ("PASSWORD", ("x", "guest"))])),
    "amqplain-key-twice": ("AMQPLAIN", amqp.pairs(LOGIN + [("PASSWORD", "wrong")])),
}


@each("handshake/auth/mechanism", MECHANISMS, slow=True)
def auth_mechanism(s, how):
    c = started(s)
    c.start_ok(mechanism=how[0], response=how[1])
    c.wait("connection.tune")
    c.drop()


MALFORMED = {
    "unknown-mechanism": ("FOO", b""),
    "no-mechanism": ("", b"\0guest\0guest"),
    "mechanism-lower-case": ("plain", b"\0guest\0guest"),
    "mechanism-external": ("EXTERNAL", b""),
    "mechanism-cr-demo": ("RABBIT-CR-DEMO", b"guest"),
    "plain-empty": ("PLAIN", b""),
    "plain-one-nul": ("PLAIN", b"\0guest"),
    "plain-no-nul": ("PLAIN", b"guest"),
    "plain-authzid": ("PLAIN", b"guest\0guest\0guest"),
    "amqplain-no-password": ("AMQPLAIN", amqp.pairs(LOGIN[:1])),
    "amqplain-no-login": ("AMQPLAIN", amqp.pairs(LOGIN[1:])),
    "amqplain-empty": ("AMQPLAIN", b""),
    "amqplain-lower-case-keys": ("AMQPLAIN", amqp.pairs([("login", "guest"), ("password",
                    "guest")])),
}


@each("handshake/auth/malformed", MALFORMED, slow=True)
def auth_malformed(s, how):
    c = started(s)
    c.start_ok(AUTH_CLOSE, mechanism=how[0], response=how[1])
    c.closed()


REFUSED = {
    "password": ("PLAIN", b"\0guest\0wrong"),
    "user": ("PLAIN", b"\0nobody\0guest"),
    "password-empty": ("PLAIN", b"\0guest\0"),
    "user-empty": ("PLAIN", b"\0\0guest"),
    "both-empty": ("PLAIN", b"\0\0"),
    "password-nul": ("PLAIN", b"\0guest\0gue\0st"),
    "password-case": ("PLAIN", b"\0guest\0GUEST"),
    "amqplain-password": ("AMQPLAIN", amqp.pairs([("LOGIN", "guest"), ("PASSWORD", "wrong")])),
    "amqplain-user": ("AMQPLAIN", amqp.pairs([("LOGIN", "nobody"), ("PASSWORD", "guest")])),
}


@each("handshake/auth/refused", REFUSED, slow=True)
def auth_refused(s, how):
    c = started(s)
    c.start_ok(AUTH_CLOSE, mechanism=how[0], response=how[1])
    c.closed()


@each("handshake/auth/refused-without-capability", {
    "password": ("PLAIN", b"\0guest\0wrong"),
    "amqplain": ("AMQPLAIN", amqp.pairs([("LOGIN", "guest"), ("PASSWORD", "wrong")]))}, slow=True)
def auth_refused_silently(s, how):
    c = started(s)
    c.start_ok(NO_CAPABILITIES, mechanism=how[0], response=how[1])
    c.closed()


@scenario("handshake/auth/refused-with-capability-false", slow=True)
def auth_refused_false(s):
    c = started(s)
    c.start_ok({"capabilities": {"authentication_failure_close": False}}, password="wrong")
    c.closed()


# ---- order of methods ----

@each("handshake/order", {
    "tune-ok-first": ("connection.tune-ok", {}), "open-first": ("connection.open", {}),
    "secure-ok-first": ("connection.secure-ok", {"response": "x"}),
    "channel-method-first": ("channel.open", {})}, slow=True)
def order_before_start_ok(s, what):
    c = started(s)
    c.send(0, what[0], **what[1])
    c.closed()


@scenario("handshake/order/channel-before-open", slow=True)
def order_channel_early(s):
    c = tuned(s)
    c.send(1, "channel.open")
    c.closed()


@scenario("handshake/order/open-before-tune-ok", slow=True)
def order_open_early(s):
    c = tuned(s)
    c.send(0, "connection.open", virtual_host="/")
    c.closed()


@scenario("handshake/order/start-ok-twice", slow=True)
def order_start_ok_twice(s):
    c = tuned(s)
    c.start_ok()
    c.closed()


@scenario("handshake/order/heartbeat-before-start-ok")
def order_heartbeat(s):
    c = started(s)
    c.send_frame(8, 0, b"", "heartbeat")
    c.start_ok()
    c.wait("connection.tune")
    c.drop()


@scenario("handshake/order/close-before-start-ok", slow=True)
def order_close_early(s):
    c = started(s)
    c.send(0, "connection.close", reply_code=200)
    c.closed()


@scenario("handshake/order/close-before-open", slow=True)
def order_close_before_open(s):
    c = tuned(s)
    c.send(0, "connection.tune-ok", channel_max=10, frame_max=131072)
    c.send(0, "connection.close", reply_code=200)
    c.wait("connection.close-ok", timeout=8)
    c.drop()


# ---- connection.start and client properties ----

@scenario("handshake/start")
def start(s):
    c = fresh(s)
    c.raw(amqp.PROTOCOL_HEADER, "protocol header")
    c.wait("connection.start")
    c.start_ok()
    c.wait("connection.tune")
    c.send(0, "connection.tune-ok", channel_max=2047, frame_max=131072, heartbeat=0)
    c.send(0, "connection.open", virtual_host="/")
    c.wait("connection.open-ok")


@each("handshake/client-properties", {
    "none": {}, "name": {"connection_name": "a name"}, "name-not-string": {"connection_name": 5},
    "no-capabilities": NO_CAPABILITIES, "every-type": {
        "s": "x", "i": 1, "l": ("l", 2**40), "d": 1.5, "f": ("f", 0.5), "t": True, "v": None,
        "x": ("x", b"\0\1"), "T": ("T", 1), "D": ("D", (2, 314)), "a": [1, "x"],
        "F": {"a": {"b": 1}},
        "b": ("b", -1), "B": ("B", 200), "h": ("s", -2), "u": ("u", 3), "n": ("i", 4)}})
def client_properties(s, properties):
    c = started(s)
    c.start_ok(properties)
    c.wait("connection.tune")
    c.send(0, "connection.tune-ok", channel_max=10, frame_max=131072)
    c.send(0, "connection.open", virtual_host="/")
    c.wait("connection.open-ok")
    prove_running(c)


@scenario("handshake/client-properties/4000-bytes")
def client_properties_large(s):
    c = started(s)
    c.start_ok({"filler": "x" * 3900})
    c.wait("connection.tune")
    c.drop()


@scenario("handshake/client-properties/20000-bytes", slow=True)
def client_properties_too_large(s):
    c = started(s)
    c.start_ok({"filler": "x" * 20000})
    c.closed()


# ---- tune ----

TUNE_OK = {
    "as-offered": (2047, 131072, 60), "least-frame-max": (2047, 8192, 0),
    "channel-max-1": (1, 131072, 0),
    "4096": (2047, 4096, 0), "heartbeat-0": (2047, 131072, 0),
    "heartbeat-above": (2047, 131072, 600),
    "heartbeat-65535": (2047, 131072, 65535), "odd-frame-max": (2047, 9999, 30)}


@each("handshake/tune/accepted", TUNE_OK)
def tune_accepted(s, values):
    c = tuned(s)
    c.send(0, "connection.tune-ok", channel_max=values[0], frame_max=values[1], heartbeat=values[2])
    c.send(0, "connection.open", virtual_host="/")
    c.wait("connection.open-ok")
    prove_running(c)


@each("handshake/tune/refused", {
    "frame-max-0": (2047, 0, 0), "frame-max-above": (2047, 131073, 0),
    "frame-max-below": (2047, 4095, 0),
    "frame-max-1": (2047, 1, 0), "channel-max-0": (0, 131072, 0),
    "channel-max-above": (2048, 131072, 0),
    "channel-max-65535": (65535, 131072, 0)}, slow=True)
def tune_refused(s, values):
    c = tuned(s)
    c.send(0, "connection.tune-ok", channel_max=values[0], frame_max=values[1], heartbeat=values[2])
    c.closed()


@scenario("handshake/tune/twice", slow=True)
def tune_twice(s):
    c = tuned(s)
    for _ in range(2):
        c.send(0, "connection.tune-ok", channel_max=10, frame_max=131072)
    c.closed()


# ---- open ----

@each("handshake/open", {
    "unknown-vhost": "no-such-vhost", "empty-vhost": "", "double-slash": "//",
    "percent-encoded": "%2f", "long": "v" * 255, "utf-8": "caf\u00e9"}, slow=True)
def open_vhost(s, vhost):
    c = tuned(s)
    c.send(0, "connection.tune-ok", channel_max=10, frame_max=131072)
    c.send(0, "connection.open", virtual_host=vhost)
    c.closed()


@scenario("handshake/open/with-insist-and-capabilities")
def open_insist(s):
    c = tuned(s)
    c.send(0, "connection.tune-ok", channel_max=10, frame_max=131072)
    c.send(0, "connection.open", virtual_host="/", capabilities="any", insist=1)
    c.wait("connection.open-ok")
    prove_running(c)


@scenario("handshake/open/twice", slow=True)
def open_twice(s):
    c = s.connect()
    c.send(0, "connection.open", virtual_host="/")
    c.closed()


@scenario("handshake/pipelined")
def pipelined(s):
    c = fresh(s)
    start_ok = amqp.method("connection.start-ok", mechanism="PLAIN", response="\0guest\0guest",
                           client_properties={"capabilities": CAPABILITIES}, locale="en_US")
    tune_ok = amqp.method("connection.tune-ok", channel_max=2047, frame_max=131072)
    conn_open = amqp.method("connection.open", virtual_host="/")
    data = amqp.PROTOCOL_HEADER + b"".join(amqp.frame(1, 0, m) for m in (start_ok, tune_ok,
            conn_open))
    data += amqp.frame(1, 1, amqp.method("channel.open"))
    data += amqp.frame(1, 1, amqp.method("exchange.declare", exchange="amq.direct", passive=1))
    c.raw(data, "the whole handshake, channel.open and exchange.declare in one write")
    c.wait("connection.open-ok")
    c.wait("exchange.declare-ok", 1)


@scenario("handshake/pipelined-bad-vhost", slow=True)
def pipelined_bad_vhost(s):
    c = tuned(s)
    c.send(0, "connection.tune-ok", channel_max=2047, frame_max=131072)
    c.raw(amqp.frame(1, 0, amqp.method("connection.open", virtual_host="nowhere")) +
          amqp.frame(1, 1, amqp.method("channel.open")), "0 connection.open and 1 channel.open")
    c.closed()


@scenario("handshake/locale-ignored")
def locale(s):
    c = started(s)
    c.send(0, "connection.start-ok", client_properties={}, mechanism="PLAIN",
           response="\0guest\0guest", locale="xx_YY")
    c.wait("connection.tune")
    c.drop()
