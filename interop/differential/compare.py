"""Normalising transcripts, comparing them, and the list of accepted differences."""

import difflib
import fnmatch
import re

_GENERATED = re.compile(r"(amq\.gen-|amq\.ctag-)[A-Za-z0-9_-]{22}|"
                        r"(amq\.rabbitmq\.reply-to\.)[A-Za-z0-9+/=._-]+")
_DEATH_TIME = re.compile(r"\btime: T\d+")
_PID = re.compile(r"<\d+\.\d+\.\d+>")
_SERVER_VALUE = re.compile(
    r'\b(product|version|platform|copyright|information|cluster_name): S"[^"]*"')
_WRAP = re.compile(r"\\x0a *")
_MECHANISMS = re.compile(r'mechanisms="([^"]*)"')


def normalise(lines, token):
    """Replace what differs from run to run: this script's token, generated names (numbered in order
    of appearance, so that identity stays visible), pids, times of death, the values that tell
    products apart, and the line breaks Erlang's pretty printer puts into long terms of a
    reply-text."""
    seen = {}

    def generated(m):
        return (m[1] or m[2]) + "#%d" % seen.setdefault(m.group(0), len(seen) + 1)

    def one(line):
        line = _PID.sub("<pid>", _GENERATED.sub(generated, line.replace(token, "~")))
        if "x-death: " in line:
            line = _DEATH_TIME.sub("time: T*", line)
        if "reply-text=" in line:
            line = _WRAP.sub("", line)
        if " connection.start (" in line:
            line = _SERVER_VALUE.sub(r"\1: S*", line)
            line = _MECHANISMS.sub(lambda m: 'mechanisms="%s"' % " ".join(sorted(m[1].split())),
                line)
        return line

    return [one(line) for line in lines]


def changes(reference, subject):
    """The differing lines, in order, as '- line' and '+ line'."""
    diff = difflib.unified_diff(reference, subject, lineterm="", n=0)
    return [d[0] + " " + d[1:] for d in diff if d[:3] not in ("---", "+++") and d[0] in "-+"]


def unified(name, reference, subject):
    return list(difflib.unified_diff(reference, subject, "reference/" + name, "subject/" + name,
                                     lineterm="", n=2))


class Accepted:
    """One accepted difference: where, why, and which lines differ ('*' matches anything)."""

    def __init__(self, patterns):
        self.patterns, self.reason, self.lines = patterns, "", []

    def names(self, scenario):
        return any(fnmatch.fnmatchcase(scenario, p) for p in self.patterns)

    def covers(self, diff):
        return len(diff) == len(self.lines) and all(
            re.fullmatch(".*".join(map(re.escape, want.split("*"))), got)
            for want, got in zip(self.lines, diff))


def read_accepted(path):
    """See the head of the file 'accepted' for its format."""
    entries = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("scenario: "):
                entries.append(Accepted(line[10:].split()))
            elif line.startswith("reason: ") and entries:
                entries[-1].reason = line[8:].strip()
            elif line[:2] in ("- ", "+ ") and entries:
                entries[-1].lines.append(line)
            else:
                raise ValueError("%s:%d: not understood: %s" % (path, number, line))
    for e in entries:
        if not e.reason or not e.lines:
            raise ValueError("%s: %s lacks a reason or lines" % (path, " ".join(e.patterns)))
    return entries


def unsound(transcript):
    """The line that says a scenario did not go its way (nothing came, it stopped), or None. Such a
    transcript proves nothing and is no reference, even if the subject fails in the same way."""
    return next((line for line in transcript if line.startswith("! ")), None)


def judge(name, reference, subject, entries):
    """(passed, one-line verdict, diff to print)."""
    if unsound(reference):
        return False, "the reference fails: " + unsound(reference), []
    diff = changes(reference, subject)
    mine = [e for e in entries if e.names(name)]
    if not diff and not mine:
        return True, "same", []
    if not diff:
        return False, "stale: an accepted difference is no longer there", []
    if any(e.covers(diff) for e in mine):
        return True, "differs as accepted", []
    verdict = "differs otherwise than accepted" if mine else "differs"
    return False, verdict, unified(name, reference, subject)
