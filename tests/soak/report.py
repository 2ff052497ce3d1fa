"""A soak's report: one HTML file with its plots as SVG, which needs nothing beside it."""

import html

WIDTH, HEIGHT = 960, 150
LEFT, RIGHT, TOP, BOTTOM = 70, 10, 8, 22
COLUMNS_MAX = 900  # of a plot: more points than pixels are drawn as the least and the most of each
COLOURS = ("#1f6feb", "#d1570a", "#2da44e", "#8250df")
SHADES = {"receiver away": "#f8d7da", "receiver silent": "#fff0c2"}
STYLE = """body{font:14px sans-serif;max-width:1000px;margin:1em auto;color:#222}
table{border-collapse:collapse}td,th{padding:2px 10px;border-bottom:1px solid #ddd;text-align:left}
svg{display:block;margin-bottom:1em}h2{font-size:15px;margin:1em 0 2px}
.bad{color:#b00020;font-weight:bold}pre{white-space:pre-wrap}"""


def nice_top(value):
    """The least of 1, 2 and 5 by a power of ten that is not below."""
    power = 1e-6
    while power * 10 < value:
        power *= 10
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def thinned(points, columns=COLUMNS_MAX):
    """At most two points for each column, its least and its most, in their order."""
    if len(points) <= 2 * columns:
        return points
    first, width = points[0][0], (points[-1][0] - points[0][0]) / columns
    held = {}
    for point in points:
        held.setdefault(int((point[0] - first) / width), []).append(point)
    return [point for group in held.values()
            for point in sorted({min(group, key=lambda p: p[1]), max(group, key=lambda p: p[1])})]


def plot(title, unit, curves, seconds, spans=(), marks=(), from_zero=True):
    """`curves` is {name: [(seconds, value)]}, `spans` [(kind, from, to)], `marks` moments."""
    values = [value for points in curves.values() for _, value in points] or [0]
    top = nice_top(max(max(values), 1e-6))
    low = 0 if from_zero else min(values)
    if not from_zero:
        room = max((max(values) - low) * 0.1, 0.5)
        low, top = max(low - room, 0), max(values) + room
    seconds = max(seconds, 1)

    def x(moment):
        return LEFT + (WIDTH - LEFT - RIGHT) * moment / seconds

    def y(value):
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (top - low))
    parts = [f'<h2>{html.escape(title)}, {html.escape(unit)}</h2>'
             f'<svg width="{WIDTH}" height="{HEIGHT}" font-size="11" fill="#444">']
    for kind, start, end in spans:
        parts.append(f'<rect x="{x(start):.1f}" y="{TOP}" width="{max(x(end) - x(start), 1):.1f}" '
                     f'height="{HEIGHT - TOP - BOTTOM}" fill="{SHADES[kind]}"/>')
    for moment in marks:
        parts.append(f'<path d="M{x(moment):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#bbb" '
                     'stroke-dasharray="2 2"/>')
    for step in range(5):
        value = low + (top - low) * step / 4
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#e5e5e5"/>'
                     f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">'
                     f'{number(value)}</text>')
    minutes = seconds / 60
    step = next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 1e9)
                if minutes / step <= 12)
    for index in range(int(minutes / step) + 1):
        parts.append(f'<text x="{x(index * step * 60):.1f}" y="{HEIGHT - 6}" '
                     f'text-anchor="middle">{number(index * step)} min</text>')
    for index, (name, points) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        line = " ".join(f"{x(moment):.1f},{y(value):.1f}" for moment, value in thinned(points))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" '
                     'stroke-width="1.3"/>'
                     f'<text x="{LEFT + 10 + 170 * index}" y="{TOP + 12}" fill="{colour}">'
                     f'{html.escape(name)}</text>')
    parts.append("</svg>")
    return "".join(parts)


def write(file, heading, verdict, facts, plots, notes):
    """`facts` is rows of (what, value), `plots` what plot() returned, `notes` lines of text."""
    rows = "".join(f"<tr><th>{html.escape(str(what))}</th><td>{html.escape(str(value))}</td></tr>"
                   for what, value in facts)
    shades = " ".join(f'<span style="background:{colour}">&nbsp;{kind}&nbsp;</span>'
                      for kind, colour in SHADES.items())
    said = f'<pre>{html.escape(chr(10).join(notes))}</pre>' if notes else ""
    file.write_text(f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(heading)}"
                    f"</title><style>{STYLE}</style><h1>{html.escape(heading)}</h1>"
                    f"<p class={'good' if verdict == 'passed' else 'bad'}>{html.escape(verdict)}</p>"
                    f"<table>{rows}</table><p>Shaded: {shades}; dashed: an agent is killed (not the "
                    f"one whose memory is plotted)</p>{''.join(plots)}{said}</html>\n")
