"""Draws a drill's timeline as SVG: requests per second, failures, leaders, and the fault as a shaded area."""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

WIDTH, LEFT, RIGHT, TOP = 860, 118, 16, 62
LANE, GAP, ROW = 64, 26, 20
BUCKET = 0.5
LEADERS = {"postgres": "Postgres primary", "store": "Redis store", "cache": "Redis cache", "vip": "virtual address"}
LANES = {"read": "reads/s", "write": "writes/s"}
# Readable on white and on black. The browser chooses by the reader's preference.
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-size: 15px; font-weight: 600 }
.small { font-size: 11px; fill: #57606a }
.back { fill: #ffffff } .fault { fill: #cf222e; opacity: .1 } .line { stroke: #d0d7de }
.redundant { stroke: #1a7f37; stroke-dasharray: 4 3 }
.read { fill: #218bff } .write { fill: #1a7f37 } .failed { fill: #cf222e } .a { fill: #8250df }
.b { fill: #bf8700 } .in { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } .back { fill: #0d1117 } .fault { fill: #ff7b72; opacity: .16 }
.line { stroke: #3d444d }
.read { fill: #4493f8 } .write { fill: #3fb950 } .failed { fill: #f85149 } .redundant { stroke: #3fb950 } }
"""

Timeline = dict[str, Any]


def draw(title: str, subtitle: str, timeline: Timeline) -> str:
    """Return the picture of one drill."""
    end: float = max([timeline["redundant"], *(t for _, t, _ in timeline["requests"])])
    begin: float = min([0.0, *(t for _, t, _ in timeline["requests"])])
    # Leaders are drawn only if they changed: more than one host led, or the only one was down for a while.
    roles = {role: spans for role, spans in timeline["roles"].items() if _changes(spans, begin, end)}
    rows = [(role, host) for role, spans in roles.items() for host in sorted({host for host, _, _ in spans})]
    bottom = TOP + len(LANES) * (LANE + GAP)
    height = bottom + len(rows) * ROW + 44

    def x(t: float) -> float:
        return round(LEFT + (t - begin) / (end - begin) * (WIDTH - LEFT - RIGHT), 1)

    shade = max(2.0, round(x(timeline["healed"]) - x(0), 1))
    label = f'aria-label="{escape(title)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" {label}>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="16" y="24">{escape(title)}</text>',
        f'<text class="small" x="16" y="43">{escape(subtitle)}</text>',
        f'<rect class="fault" x="{x(0)}" y="{TOP - 6}" width="{shade}" height="{height - TOP - 30}"/>',
        f'<path class="redundant" d="M{x(timeline["redundant"])} {TOP - 6}V{height - 36}"/>',
    ]
    for number, (kind, label) in enumerate(LANES.items()):
        parts += _lane(kind, label, TOP + number * (LANE + GAP), timeline["requests"], begin, end, x)
    for number, (role, host) in enumerate(rows):
        y = bottom + number * ROW
        first = number == 0 or rows[number - 1][0] != role
        parts += [f'<text class="small" x="16" y="{y + 11}">{LEADERS[role]}</text>'] if first else []
        color = "a" if first else "b"
        for since, until in (
            (max(begin, since), until) for name, since, until in roles[role] if name == host and until > begin
        ):
            width = round(x(until) - x(since), 1)
            parts.append(
                f'<rect class="{color}" x="{x(since)}" y="{y}" width="{max(width, 1)}" height="{ROW - 5}" rx="2"/>'
            )
            parts += [f'<text class="small in" x="{x(since) + 5}" y="{y + 11}">{host}</text>'] if width > 40 else []
    parts += _axis(begin, end, height - 34, x)
    return "\n".join([*parts, "</svg>", ""])


def _changes(spans: Sequence[Sequence[Any]], begin: float, end: float) -> bool:
    return len({host for host, _, _ in spans}) > 1 or sum(until - since for _, since, until in spans) < 0.8 * (
        end - begin
    )


def _lane(kind: str, label: str, y: float, requests: list[Any], begin: float, end: float, x: Any) -> Iterator[str]:
    """Draw bars: successes from the bottom, failures from the top."""
    good, bad = _buckets(kind, True, requests, begin), _buckets(kind, False, requests, begin)
    top = max([1, *good.values(), *bad.values()])
    yield f'<text class="small" x="16" y="{y + 12}">{label}</text>'
    yield f'<text class="small" x="{LEFT - 6}" y="{y + 10}" text-anchor="end">{top / BUCKET:g}</text>'
    width = round(x(begin + BUCKET) - x(begin), 2)
    for name, values in ((kind, good), ("failed", bad)):
        for bucket, number in sorted(values.items()):
            tall = round(number / top * LANE, 1)
            since = x(begin + bucket * BUCKET)
            if since < WIDTH - RIGHT:
                where = y if name == "failed" else round(y + LANE - tall, 1)
                wide = f"{max(0.5, width - 0.6):.2f}"
                yield f'<rect class="{name}" x="{since}" y="{where}" width="{wide}" height="{tall}"/>'
    yield f'<path class="line" d="M{LEFT} {y + LANE}H{x(end)}"/>'


def _buckets(kind: str, succeeded: bool, requests: list[Any], begin: float) -> dict[int, int]:
    return Counter(int((t - begin) / BUCKET) for of, t, good in requests if of == kind and good == succeeded)


def _axis(begin: float, end: float, y: float, x: Any) -> Iterator[str]:
    step = next(step for step in (2, 5, 10, 20, 60) if (end - begin) / step < 12 or step == 60)
    first = -(-int(begin) // step) * step
    for t in range(first, int(end) + 1, step):
        yield f'<path class="line" d="M{x(t)} {y}v4"/>'
        yield f'<text class="small" x="{x(t)}" y="{y + 16}" text-anchor="middle">{t} s</text>'
