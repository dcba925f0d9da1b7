"""Measures in turns: in each round every peer has a turn directly next to one of Linnet's, with a probe of the machine
before and after each turn."""
import time
from dataclasses import dataclass

from . import cases as known
from . import logits
from .process import BusyLoop, Failed, Server
from .stats import Run, drift, rotated

SETTLE = 0.05  # seconds until threads that wait for more work by spinning, a peer's or the probe's, are asleep


@dataclass
class Turn(Run):
    """`before` and `after` are probes of the limit that bounds the case; `ceiling` is the bound in tokens per second."""
    ceiling: float = 0.0
    read: float = 0.0
    operations: float = 0.0


class Probe:
    """Probes the machine's current limits with a buffer as large as the weights of a type."""

    def __init__(self, options, shape, dtype, threads):
        mib = max(8, round(shape.weight_bytes(dtype) / (1 << 20)))
        if options.vulkan:
            self.kind, probe = known.PEAK_VULKAN[dtype], ["limits_vulkan", "--device", options.vulkan["number"]]
        else:
            self.kind, probe = known.PEAK[dtype], ["limits", "--threads", threads]
        self.server = Server([options.build / "bin" / probe[0], "--serve", *probe[1:], "--mib", mib, "--seconds",
                              options.probe_seconds], env={"LINNET_CPU_ISA": getattr(options, "level", None)}, greets=False)

    def __call__(self):
        time.sleep(SETTLE)
        reply = self.server.ask(self.kind)
        return reply["read_bytes_per_s"], reply["ops_per_s"]

    def close(self):
        self.server.close()


class Notes:
    """What was not measured, and why."""

    def __init__(self):
        self.lines, self.absent = [], {}

    def add(self, line):
        if line not in self.lines:
            self.lines.append(line)

    def lacks(self, peer, dtype, reason):
        """`dtype` "": in all types."""
        self.absent.setdefault(peer, {}).setdefault(dtype, reason)


class Group:
    """All peers of one type with their models loaded, for a number of threads and sequences."""

    def __init__(self, options, peers, model, shape, dtype, threads, batch, context, notes):
        self.options, self.shape, self.dtype, self.notes = options, shape, dtype, notes
        self.threads, self.servers, self.versions = threads, {}, {}
        for peer in peers:
            if dtype not in peer.dtypes:
                notes.lacks(peer.name, dtype, peer.lacks.get(dtype, f"it has no {dtype}"))
                continue
            try:
                command = peer.command(model, dtype, threads, batch, context)
                server = start(peer, command, threads)
            except Failed as error:
                if peer.name == "linnet":
                    raise
                notes.lacks(peer.name, dtype, str(error))
                continue
            self.servers[peer.name] = server
            self.versions[peer.name] = server.hello.get("version", "")
        self.probe = Probe(options, shape, dtype, threads)

    def check(self, reference):
        """Drops peers whose logits are wrong. Returns every peer's error relative to `reference`."""
        errors = {}
        for name, server in list(self.servers.items()):
            values = self.guarded(name, lambda: logits.of(server))
            if values is None:
                continue
            errors[name] = logits.error(values, reference)
            if errors[name] > logits.ALLOWED[self.dtype]:
                if name == "linnet":
                    raise Failed(f"linnet {self.dtype}: logits are {errors[name]:.2g} off those of f32")
                self.drop(name, f"its logits are {errors[name]:.2g} off Linnet's in f32, more than "
                                f"{logits.ALLOWED[self.dtype]:.2g}: not the same model, so not measured")
        return errors

    def drop(self, name, why):
        self.notes.lacks(name, self.dtype, why)
        self.servers.pop(name).close()

    def turn(self, name, case, before):
        time.sleep(SETTLE)
        seconds = self.servers[name].ask(case.request)["seconds"]
        after = self.probe()
        read, operations = ((a + b) / 2 for a, b in zip(before, after))
        bound = 0 if case.kind == "decode" and case.batch == 1 or not operations else 1
        run = Turn(case.tokens / seconds, before[bound], after[bound], read=read, operations=operations,
                   ceiling=known.ceiling(case, self.shape, self.dtype, read, operations))
        return run, after

    def measure(self, case, rounds):
        """{peer: [(Linnet's Turn, the peer's Turn)]}, and Linnet's turns as {"linnet": [Turn]}. A peer has turns until
        `rounds` pairs are valid (their probes agree), at most `tries` times as many."""
        for name in list(self.servers):
            self.guarded(name, lambda: self.servers[name].ask(case.request))  # warms up
        others = [name for name in self.servers if name != "linnet"]
        pairs, mine = {name: [] for name in others}, []
        for index in range(rounds * self.options.tries):
            waiting = [name for name in others if name in self.servers and self.valid(pairs[name]) < rounds]
            if not waiting and (others or self.valid([(turn,) for turn in mine]) >= rounds):
                break
            before = self.probe()
            for name in rotated(waiting, index) or ["linnet"]:
                order = ["linnet"] if name == "linnet" else ["linnet", name] if index % 2 == 0 else [name, "linnet"]
                turns = {}
                for at in order:
                    answer = self.guarded(at, lambda: self.turn(at, case, before))
                    turns[at], before = answer or (None, self.probe())
                mine.append(turns["linnet"])
                if turns.get(name) and name != "linnet":
                    pairs[name].append((turns["linnet"], turns[name]))
        return {"linnet": mine, **pairs}

    def valid(self, groups):
        """The number of groups of runs whose probes agree."""
        return sum(drift(*runs) <= self.options.drift for runs in groups)

    def guarded(self, name, what):
        try:
            return what()
        except Failed as error:
            if name == "linnet":
                raise
            if name in self.servers:
                self.drop(name, str(error))
            return None

    def stolen(self, case, rounds):
        """{peer: [speed next to a busy loop divided by speed without it, one per round]}"""
        shares = {name: [] for name in self.servers}
        for index in range(rounds):
            for name in rotated(list(self.servers), index):
                time.sleep(SETTLE)
                alone = self.servers[name].ask(case.request)["seconds"]
                with BusyLoop():
                    disturbed = self.servers[name].ask(case.request)["seconds"]
                shares[name].append(alone / disturbed)
        return shares

    def close(self):
        for server in self.servers.values():
            server.close()
        self.probe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def start(peer, command, threads):
    # OpenBLAS's tuning variables would slow PyTorch down, and a thread count in the environment all peers.
    environment = {"OPENBLAS_CORETYPE": None, "OPENBLAS_L2_SIZE": None, "OMP_NUM_THREADS": str(threads)}
    return Server(command, env={**environment, **peer.environment})


def whole_process(peers, model, dtype, threads, context, rounds, notes):
    """{peer: ([seconds from the start of the process to the first token of a prompt of 16], [largest resident bytes])}"""
    case = known.CASES["decode"]
    found = {}
    able = [peer for peer in peers if dtype in peer.dtypes]
    for index in range(rounds + 1):
        for peer in rotated(able, index):
            try:
                command = peer.command(model, dtype, threads, 1, context)
                begin = time.perf_counter()
                with start(peer, command, threads) as server:
                    server.ask("prefill 16 1")
                    first = time.perf_counter() - begin
                    server.ask(f"decode {min(case.past, context // 2)} 16 1")
                    resident = server.largest_resident()
            except Failed as error:
                if peer.name == "linnet":
                    raise
                notes.lacks(peer.name, dtype, str(error))
                able = [p for p in able if p is not peer]
                continue
            if index:  # the first round warms the file cache
                seconds, bytes_ = found.setdefault(peer.name, ([], []))
                seconds.append(first)
                bytes_.append(resident)
    return found
