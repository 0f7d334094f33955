"""nowait: no success reply ever, errors all the same."""

from registry import each, scenario


def quiet(ch, name, **args):
    """Send a method with nowait and prove that it was not answered."""
    ch.send(name, nowait=1, **args)
    return ch.fence()


@scenario("nowait/exchange")
def exchange(s):
    ch, x = s.channel(), s.x()
    quiet(ch, "exchange.declare", exchange=x, type="fanout")
    ch.exchange(x, passive=1)
    quiet(ch, "exchange.declare", exchange=x, passive=1)
    quiet(ch, "exchange.bind", destination=x, source="amq.direct", routing_key=x)
    quiet(ch, "exchange.unbind", destination=x, source="amq.direct", routing_key=x)
    quiet(ch, "exchange.delete", exchange=x)
    quiet(ch, "exchange.delete", exchange=x)
    ch.exchange(x, passive=1)


@scenario("nowait/queue")
def queue(s):
    ch, q = s.channel(), s.q()
    quiet(ch, "queue.declare", queue=q)
    quiet(ch, "queue.declare", queue=q)
    quiet(ch, "queue.declare", queue=q, passive=1)
    quiet(ch, "queue.bind", queue=q, exchange="amq.direct", routing_key=q)
    ch.publish(q, "m", "amq.direct", mandatory=1)
    ch.fence(q)
    ch.declare(q, passive=1)
    quiet(ch, "queue.purge", queue=q)
    ch.declare(q, passive=1)
    quiet(ch, "queue.delete", queue=q)
    quiet(ch, "queue.delete", queue=q)
    ch.declare(q, passive=1)


@scenario("nowait/queue-declare-sets-last-declared")
def queue_last(s):
    ch = s.channel()
    quiet(ch, "queue.declare", queue="", exclusive=1)
    ch.get("")
    quiet(ch, "queue.purge")
    quiet(ch, "queue.delete")


@scenario("nowait/consume-and-cancel")
def consume(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    quiet(ch, "basic.consume", queue=q, consumer_tag="c", no_ack=1)
    ch.publish(q, "m")
    ch.deliver()
    quiet(ch, "basic.cancel", consumer_tag="c")
    quiet(ch, "basic.cancel", consumer_tag="unknown")
    ch.publish(q, "m")
    ch.fence(q)
    ch.get(q)


@scenario("nowait/consume-generated-tag")
def consume_tag(s):
    ch = s.channel()
    q = ch.declare(s.q(), exclusive=1)
    quiet(ch, "basic.consume", queue=q, no_ack=1)
    ch.publish(q, "m")
    ch.deliver()


@scenario("nowait/confirm-select")
def confirm(s):
    ch = s.channel()
    quiet(ch, "confirm.select")
    ch.publish("no-such-key", "m")
    ch.expect("basic.ack")
    quiet(ch, "confirm.select")


@scenario("nowait/delete-with-consumer-still-cancels")
def delete_consumed(s):
    a, b = s.channel(), s.channel()
    q = b.declare(s.q())
    a.consume(q, "c")
    quiet(b, "queue.delete", queue=q)
    a.expect("basic.cancel")


@each("nowait/error", {
    "queue.declare-passive": ("queue.declare", {"queue": "missing", "passive": 1}),
    "queue.declare-reserved": ("queue.declare", {"queue": "amq.mine"}),
    "queue.declare-argument": ("queue.declare", {"queue": "x", "arguments": {"x-message-ttl": -1}}),
    "queue.bind": ("queue.bind", {"queue": "missing", "exchange": "amq.direct"}),
    "queue.bind-default": ("queue.bind", {"queue": "missing", "exchange": ""}),
    "queue.purge": ("queue.purge", {"queue": "missing"}),
    "exchange.declare-passive": ("exchange.declare",
        {"exchange": "missing", "passive": 1, "type": "direct"}),
    "exchange.declare-reserved": ("exchange.declare", {"exchange": "amq.mine", "type": "direct"}),
    "exchange.delete-predeclared": ("exchange.delete", {"exchange": "amq.topic"}),
    "exchange.bind": ("exchange.bind", {"destination": "missing", "source": "amq.direct"}),
    "exchange.unbind-default": ("exchange.unbind", {"destination": "", "source": "amq.direct"}),
    "basic.consume": ("basic.consume", {"queue": "missing"})})
def error(s, what):
    ch = s.channel()
    ch.send(what[0], nowait=1, **what[1])
    ch.wait("channel.close")


@scenario("nowait/confirm-on-tx")
def confirm_tx(s):
    ch = s.channel()
    ch.call("tx.select")
    ch.send("confirm.select", nowait=1)
    ch.wait("channel.close")


@scenario("nowait/pipelined-in-order")
def pipelined(s):
    ch, q = s.channel(), s.q()
    for name, args in (("queue.declare", {"queue": q}),
        ("queue.bind", {"queue": q, "exchange": "amq.direct"}),
                       ("basic.qos", {}), ("queue.purge", {"queue": q}),
                       ("queue.delete", {"queue": q})):
        ch.send(name, **args)
    for name in ("queue.declare-ok", "queue.bind-ok", "basic.qos-ok", "queue.purge-ok",
        "queue.delete-ok"):
        ch.wait(name)
