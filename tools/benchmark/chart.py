"""Draw the ratios as a bar chart in SVG."""
from xml.sax.saxutils import escape

BAR, GAP, LEFT, WIDTH, RIGHT, TOP = 12, 4, 330, 560, 330, 46
FULL = 1.25             # the ratio at the right edge; longer bars are cut and say their number
COLOURS = {"goal": "#2c7a4b", "limit": "#7fb069", "above": "#d9a441", "worse": "#b5443c"}


def colour_of(row):
    if row.goal is not None and row.ratio <= row.goal:
        return COLOURS["goal"]
    if row.ratio > 1 or (row.limit is not None and row.ratio > row.limit):
        return COLOURS["worse"]
    return COLOURS["above"] if row.goal is not None else COLOURS["limit"]


def text(x, y, words, anchor="start", size=10, fill="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{fill}">{escape(words)}</text>')


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def draw_row(row, y):
    ratio = min(row.ratio, FULL)
    parts = [text(LEFT - 6, y + BAR - 2, row.name, "end"),
             f'<rect x="{LEFT}" y="{y}" width="{ratio / FULL * WIDTH:.1f}" height="{BAR}" '
             f'fill="{colour_of(row)}"/>']
    if row.goal is not None:
        x = LEFT + row.goal / FULL * WIDTH
        parts.append(f'<line x1="{x:.1f}" y1="{y - 1}" x2="{x:.1f}" y2="{y + BAR + 1}" '
                     'stroke="#111" stroke-width="1.5"/>')
    parts.append(text(LEFT + WIDTH + 8, y + BAR - 2,
                      f"{row.ratio:.3f}   {number(row.ours)} / {number(row.best_linux)} {row.unit}"))
    return parts


def draw(rows, title):
    """Return the chart of the times and the memory that both sides have."""
    rows = [row for row in rows
            if row.ratio is not None and (row.unit in ("insn", "ns") or row.is_memory)]
    height = TOP + len(rows) * (BAR + GAP) + 20
    width = LEFT + WIDTH + RIGHT
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'viewBox="0 0 {width} {height}" font-family="sans-serif">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>',
             text(10, 18, title, size=14),
             text(10, 34, "bar: Cowbell / the better Linux (less is better); black line: the goal",
                  fill="#666")]
    for tenth in range(0, 13, 2):
        x = LEFT + tenth / 10 / FULL * WIDTH
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{height - 16}" '
                     f'stroke="{"#888" if tenth == 10 else "#ddd"}"/>')
        parts.append(text(x, height - 4, f"{tenth / 10:.1f}", "middle", fill="#666"))
    for index, row in enumerate(rows):
        parts += draw_row(row, TOP + index * (BAR + GAP))
    return "\n".join(parts + ["</svg>"]) + "\n"
