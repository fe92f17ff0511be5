"""The table: medians over the rounds, with the least and the greatest."""
import os
import statistics

from cases import AT_LEAST, AT_LEAST_PEERS, AT_LEAST_RATIO, AT_MOST_PEERS, RATIO


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return format(round(value), ",")
    return "%.*f" % (0 if value == int(value) else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3, value)


def span(values):
    if not values:
        return "-"
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else "%s [%s–%s]" % (middle, number(min(values)), number(max(values)))


def of(samples, case, who, key):
    return {s["round"]: s["values"][key] for s in samples
            if s["case"] == case.name and s["who"] == who and key in s["values"]}


def verdict(row, ours, ratios, peers):
    """Whether the target is met; against peers: the best of them."""
    if row.kind is None or not ours:
        return ""
    if row.kind in (AT_LEAST_PEERS, AT_MOST_PEERS):
        if not peers:
            return ""
        value = statistics.median(ours)
        return "yes" if (value >= max(peers) if row.kind == AT_LEAST_PEERS else value <= min(peers)) else "NO"
    value = statistics.median(ratios if row.kind in (RATIO, AT_LEAST_RATIO) else ours) if row.kind not in (RATIO, AT_LEAST_RATIO) or ratios else None
    if value is None:
        return ""
    return "yes" if (value >= row.limit if row.kind in (AT_LEAST, AT_LEAST_RATIO) else value <= row.limit) else "NO"


def table(cases, samples):
    lines = [["what", "unit", "Martlet", "floor", "ratio", "target", "met", "peers"]]
    for case in cases:
        skipped = [s["skip"] for s in samples if s["case"] == case.name and s["who"] == "martlet" and "skip" in s]
        if skipped:
            lines.append([case.rows[0].title, "", skipped[0], "", "", "", "", ""])
            continue
        for row in case.rows:
            ours, floor = of(samples, case, "martlet", row.value), of(samples, case, "floor", row.floor)
            ratios = [ours[i] / floor[i] for i in ours if floor.get(i)]
            others = []
            for who in dict.fromkeys(s["who"] for s in samples if s["who"] not in ("martlet", "floor")):
                theirs = list(of(samples, case, who, row.value).values())
                if theirs:
                    others.append((statistics.median(theirs), who))
            others.sort(reverse=row.kind in (AT_LEAST, AT_LEAST_PEERS, AT_LEAST_RATIO))
            lines.append([row.title, row.unit, span(list(ours.values())), span(list(floor.values())),
                          "×" + span(ratios) if ratios else "-", row.target,
                          verdict(row, list(ours.values()), ratios, [value for value, _ in others]),
                          ", ".join("%s %s" % (who, number(value)) for value, who in others)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    loads = [s["load"] for s in samples if "load" in s]
    idle = [s["idle_before"] for s in samples if "idle_before" in s]
    text = "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)
    if loads:
        text += "\n\nMedians of %d rounds [least–greatest]; %d processors, load average %.1f [%.1f–%.1f], idle before a " \
                "sample %d %% in the median." % (len({s["round"] for s in samples}), os.cpu_count(), statistics.median(loads), min(loads), max(loads),
                                                statistics.median(idle) * 100)
    return text
