"""The list of scenarios: functions taking a client.Script, registered under a name area/what."""

SCENARIOS = {}


class Scenario:
    """A named conversation. Slow ones, which wait for the server's timers, are started first."""

    def __init__(self, name, run, slow):
        self.name, self.run, self.slow = name, run, slow


def scenario(name, slow=False):
    def register(fn):
        if name in SCENARIOS:
            raise ValueError("two scenarios named " + name)
        SCENARIOS[name] = Scenario(name, fn, slow)
        return fn
    return register


def each(prefix, table, slow=False):
    """One scenario per row of a table {name: row}; the function gets the row as well."""
    def register(fn):
        for key, row in table.items():
            scenario(prefix + "/" + key, slow)(lambda s, row=row: fn(s, row))
        return fn
    return register
