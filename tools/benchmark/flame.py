"""Draw call stacks with their counts as a flame graph in SVG, and list them by function.

A stack is a tuple of function names from the outermost to the innermost.
"""
import zlib
from xml.sax.saxutils import escape

WIDTH, BAR, TOP, BOTTOM = 1400, 17, 40, 14
NARROWEST = 0.4         # narrower frames are left out
LETTER = 6.6            # width of a letter


class Node:
    """A function in its place of the call tree: `total` includes what it calls."""

    def __init__(self, name):
        self.name = name
        self.total = 0
        self.children = {}

    def add(self, stack, count):
        self.total += count
        if stack:
            child = self.children.setdefault(stack[0], Node(stack[0]))
            child.add(stack[1:], count)

    def depth(self):
        return 1 + max((child.depth() for child in self.children.values()), default=0)


def tree_of(stacks):
    root = Node("all")
    for stack, count in stacks.items():
        root.add(stack, count)
    return root


def colour_of(name):
    """The same function has the same warm colour everywhere."""
    number = zlib.crc32(name.encode())
    return f"rgb({205 + number % 50},{80 + (number >> 8) % 120},{40 + (number >> 16) % 40})"


def draw_node(node, x, level, scale, height, per, parts):
    width = node.total * scale
    if width < NARROWEST:
        return
    y = height - BOTTOM - (level + 1) * BAR
    label = node.name if len(node.name) * LETTER < width else \
        node.name[:max(0, int(width / LETTER) - 2)] + ".." if width > 5 * LETTER else ""
    parts.append(f'<g><title>{escape(node.name)}: {node.total / per:.1f}</title>'
                 f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{BAR - 1}" rx="1" '
                 f'fill="{colour_of(node.name)}"/>'
                 f'<text x="{x + 3:.2f}" y="{y + BAR - 5}">{escape(label)}</text></g>')
    for child in sorted(node.children.values(), key=lambda child: child.name):
        draw_node(child, x, level + 1, scale, height, per, parts)
        x += child.total * scale


def draw(stacks, title, per=1.0):
    """The flame graph; numbers in it are counts divided by `per`."""
    root = tree_of(stacks)
    height = TOP + BOTTOM + root.depth() * BAR
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
             f'<rect width="{WIDTH}" height="{height}" fill="#fffdf5"/>',
             f'<text x="10" y="22" font-size="15">{escape(title)}</text>']
    if root.total:
        draw_node(root, 0, 0, WIDTH / root.total, height, per, parts)
    return "\n".join(parts + ["</svg>"]) + "\n"


def by_function(stacks):
    """Return [(name, own count, count with what it calls)], the largest own count first."""
    own, whole = {}, {}
    for stack, count in stacks.items():
        own[stack[-1]] = own.get(stack[-1], 0) + count
        for name in set(stack):
            whole[name] = whole.get(name, 0) + count
    return sorted(((name, own.get(name, 0), total) for name, total in whole.items()),
                  key=lambda entry: (-entry[1], -entry[2]))
