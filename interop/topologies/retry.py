"""The retry topology, as Spring applications build it: work queue -> rejected -> waiting queue with a
TTL -> back to the work queue; a message that failed too often is parked by its consumer, who reads
x-death."""
from topology import deaths, same

RETRIES = 3           # after so many the message is parked
TTL_MS = 100


def failures(n):
    """How often the consumer fails at message n; None: always."""
    return None if n % 100 == 99 else n % (RETRIES + 1)


class Retry:
    def __init__(self, place):
        self.place = place
        self.exchange, self.again = place.exchange("work"), place.exchange("retry")
        self.work = place.queue("work", dead_letter_exchange=self.again)
        self.wait = place.queue("wait", dead_letter_exchange=self.exchange, message_ttl=TTL_MS)
        self.parked = place.queue("parked")
        place.channel.queue_bind(self.work, self.exchange, "job")
        place.channel.queue_bind(self.wait, self.again, "job")

    def times(self, method, properties, n):
        """How often a delivery has failed before, by its x-death, every part of which is checked."""
        got = deaths(properties)
        times = got[0][2] if got else 0
        want = [(self.wait, "expired", times, self.again, ["job"], None),
                (self.work, "rejected", times, self.exchange, ["job"], None)] if times else []
        same("x-death of %d at attempt %d" % (n, times + 1), got, want)
        same("exchange, key", (method.exchange, method.routing_key), (self.exchange, "job"))
        if times:
            same("first death", [properties.headers["x-first-death-" + k] for k in
                                 ("reason", "queue", "exchange")],
                 ["rejected", self.work, self.exchange])
        return times

    def finish(self, method, properties, n, times):
        """Do the work, or fail at it, or give it up; False when it is to come again."""
        channel = self.place.channel
        if times != failures(n) and times < RETRIES:
            channel.basic_reject(method.delivery_tag, requeue=False)
            return False
        if times != failures(n):
            channel.basic_publish("", self.parked, b"%d" % n, properties)
        channel.basic_ack(method.delivery_tag)
        return True

    def to_park(self, count):
        return [n for n in range(count) if failures(n) is None]

    def left_over(self):
        return self.place.ready(self.work), self.place.ready(self.wait)
