"""The results as one JSON object and as tables."""
from .stats import median, paired, spread, steady


def case_row(case, dtype, threads, runs, allowed):
    """One line of the table: every peer's median, Linnet's share of the ceiling, ratios of pairs. `runs`: see
    Group.measure."""
    row = {"case": case.name, "dtype": dtype, "threads": threads, "peers": {}}
    for name, found in runs.items():
        turns = found if name == "linnet" else [theirs for _, theirs in found]
        kept, discarded = steady(turns, allowed)
        entry = row["peers"][name] = {"tokens_per_s": None, "discarded": discarded}
        if kept:
            entry.update(tokens_per_s=median([t.rate for t in kept]), spread=spread([t.rate for t in kept]),
                         ceiling_share=median([t.rate / t.ceiling for t in kept]),
                         ceiling_tokens_per_s=median([t.ceiling for t in kept]),
                         read_bytes_per_s=median([t.read for t in kept]), ops_per_s=median([t.operations for t in kept]), runs=len(kept))
        if name != "linnet":
            ratios, lost = paired(found, allowed)
            entry.update(linnet_ratio=median(ratios), linnet_ratio_spread=spread(ratios), pairs=len(ratios),
                         pairs_discarded=lost)
    best = [(e["tokens_per_s"], name) for name, e in row["peers"].items() if name != "linnet" and e["tokens_per_s"]]
    if best:
        name = max(best)[1]
        row.update(best_peer=name, linnet_ratio=row["peers"][name]["linnet_ratio"], pairs=row["peers"][name]["pairs"])
    return row


class Footnotes:
    """Numbers the reasons of dashes in the order in which tables show them. `absent`: see measure.Notes."""

    def __init__(self, absent):
        self.absent, self.numbers = absent, {}

    def dash(self, peer, dtype):
        reasons = self.absent.get(peer, {})
        reason = reasons.get(dtype, reasons.get(""))
        if reason is None:
            return "-"
        return f"- [{self.numbers.setdefault((peer, reason), len(self.numbers) + 1)}]"

    def lines(self):
        return [f"[{number}] {peer}: {reason}" for (peer, reason), number in self.numbers.items()]


def text(value, form="{:.1f}"):
    return "-" if value is None else form.format(value)


def table(head, rows):
    align = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, align, *rows])


def rates_table(rows, peers, threads, notes=Footnotes({})):
    """Tokens per second ± half the quartile distance. The last columns are Linnet's. A ratio below one is bold."""
    lines = []
    for row in (r for r in rows if r["threads"] == threads):
        line = [f"{row['case']}, {row['dtype']}"]
        for name in peers:
            entry = row["peers"].get(name)
            line.append(notes.dash(name, row["dtype"]) if not entry or entry["tokens_per_s"] is None
                        else f"{entry['tokens_per_s']:.1f} ± {entry['spread']:.1f}")
        mine = row["peers"].get("linnet", {})
        line.append(text(mine.get("ceiling_tokens_per_s"), "{:.0f}"))
        line.append(text(mine.get("ceiling_share") and 100 * mine["ceiling_share"], "{:.0f} %"))
        ratio = row.get("linnet_ratio")
        mark = "**" if ratio and ratio < 1 else ""
        line.append(f"{mark}{ratio:.2f}{mark} ({row['best_peer']}, {row['pairs']})" if ratio else "-")
        lines.append(line)
    if not lines:
        return ""
    return table([f"{threads} thread{'s' if threads > 1 else ''}, tokens/s", *peers, "ceiling", "reached", "of the best peer (pairs)"],
                 lines)


def discarded(rows):
    pairs = [(e.get("pairs", 0), e.get("pairs_discarded", 0)) for r in rows for e in r["peers"].values() if "pairs" in e]
    runs = [(e.get("runs", 0), e["discarded"]) for r in rows for e in r["peers"].values()]
    return {"runs": sum(a + b for a, b in runs), "runs_discarded": sum(b for _, b in runs),
            "pairs": sum(a + b for a, b in pairs), "pairs_discarded": sum(b for _, b in pairs)}


def limits_table(rows):
    """The limits that the probes found, by threads and type."""
    lines = []
    for threads in sorted({r["threads"] for r in rows}, reverse=True):
        for dtype in dict.fromkeys(r["dtype"] for r in rows if r["threads"] == threads):
            entries = [e for r in rows if r["threads"] == threads and r["dtype"] == dtype for e in r["peers"].values()
                       if e["tokens_per_s"]]
            reads, peaks = ([e[key] for e in entries] for key in ("read_bytes_per_s", "ops_per_s"))
            if entries:
                lines.append([f"{dtype}, {threads}", f"{median(reads) / 1e9:.1f} ({min(reads) / 1e9:.1f} to {max(reads) / 1e9:.1f})",
                              f"{median(peaks) / 1e9:.0f} ({min(peaks) / 1e9:.0f} to {max(peaks) / 1e9:.0f})"])
    return table(["weights of, threads", "read, GB/s", "multiply-add, Gop/s"], lines) if lines else ""


def shares_table(title, found, peers, form, notes=Footnotes({})):
    """{dtype: {peer: values}}"""
    lines = [[dtype, *(form.format(median(by[name])) if by.get(name) else notes.dash(name, dtype) for name in peers)]
             for dtype, by in found.items()]
    return table([title, *peers], lines) if lines else ""


def gigaops(rate):
    """A dash if the library has no kernel for the types on this processor."""
    return "-" if rate is None else f"{rate / 1e9:.0f}"


def onednn_table(report):
    lines = {}
    for m in report["matmuls"]:
        lines.setdefault((m["dtype"], m["m"]), {})[m["shape"]] = m
    shapes = list(dict.fromkeys(m["shape"] for m in report["matmuls"]))
    rows = [[f"{dtype}, {m} rows", *(gigaops(by[s]["ops_per_s"]) for s in shapes)] for (dtype, m), by in lines.items()]
    return table([f"oneDNN {report['version']} alone, Gop/s", *shapes], rows)


def device_line(device):
    """A device and its peaks, from limits_vulkan."""
    peaks = ", ".join(f"{kind} by {device[kind + '_kernel']}" for kind in ("f32", "f16"))
    return f"of vulkan:{device['number']}, {device['device']}, {device['driver'].strip()}; peak {peaks}"


def print_all(report):
    peers, notes = report["peers"], Footnotes(report["absent"])
    print(f"{report['model']}, medians of {report['rounds']} valid turns and more ± half the quartile distance; turns and "
          f"pairs whose probes differ by more than {100 * report['allowed_drift']:.0f} % are discarded and repeated, with "
          f"{report['tries']} times as many turns at most")
    for name in peers:
        print(f"- {name}: {report['versions'].get(name, 'not measured')}")
    if report.get("level"):
        print(f"- every program as on a processor of level {report['level']}")
    if "device" in report:
        print(f"- limits: {device_line(report['device'])}")
    sections = [limits_table(report["rows"])]
    sections += [rates_table(report["rows"], peers, threads, notes) for threads in report["threads"]]
    title = "one core stolen: share of the undisturbed speed"
    sections.append(shares_table(title, report["stolen"], peers, "{:.2f}", notes))
    sections.append(shares_table("start to first token of 16, ms", report["first_token_ms"], peers, "{:.0f}", notes))
    sections.append(shares_table("largest resident, MB", report["resident_mb"], peers, "{:.0f}", notes))
    if report.get("onednn"):
        sections.append(onednn_table(report["onednn"]))
    errors = {d: {k: [v] for k, v in e.items()} for d, e in report["logit_errors"].items()}
    sections.append(shares_table("logits off Linnet's in f32", errors, peers, "{:.1e}", notes))
    print("\n" + "\n\n".join(s for s in sections if s))
    print_footer(report, notes)


def print_footer(report, notes):
    """The reasons of dashes, and the share of the turns that count."""
    if notes.lines():
        print("\n" + "\n".join(notes.lines()))
    lost = report["discarded"]
    print(f"\ndiscarded: {lost['runs_discarded']} of {lost['runs']} runs, {lost['pairs_discarded']} of {lost['pairs']} pairs; "
          f"load of the machine up to {report['load']:.1f}")
    for note in report["notes"]:
        print(f"not measured: {note}")
