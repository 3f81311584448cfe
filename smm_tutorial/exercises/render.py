"""How an exercise is displayed: HTML in a notebook, plain text elsewhere."""

import html
import re
from dataclasses import dataclass

# Okabe and Ito's palette, safe for colour-blind readers. A word before the title repeats the
# status.
COLOURS = {
    "pending": "#56b4e9",
    "wrong": "#d55e00",
    "right": "#009e73",
    "hint": "#0072b2",
    "solution": "#0072b2",
}
WORDS = {
    "pending": "To do",
    "wrong": "Not yet",
    "right": "✓ Right",
    "hint": "Hints",
    "solution": "Solution",
}


@dataclass(frozen=True)
class Card:
    """A titled box of lines, where backticks mark code; `status` is a key of `COLOURS`."""

    status: str
    title: str
    lines: tuple[str, ...]
    code: str = ""

    def __repr__(self) -> str:
        lines = [" ".join(line.split()) for line in self.lines]
        text = [f"[{WORDS[self.status]}] {self.title}", *lines]
        return "\n".join([*text, self.code] if self.code else text)

    def _repr_html_(self) -> str:
        border = f"border-left: 5px solid {COLOURS[self.status]}"
        style = f"{border}; padding: 0.3em 0 0.3em 1em; margin: 0.5em 0;"
        parts = [f"<p><strong>{WORDS[self.status]}: {_marked_up(self.title)}</strong></p>"]
        parts += [f"<p>{_marked_up(line)}</p>" for line in self.lines]
        if self.code:
            parts.append(f"<pre>{html.escape(self.code)}</pre>")
        return f'<div style="{style}">{"".join(parts)}</div>'


def _marked_up(text: str) -> str:
    """HTML of text in which backticks mark code, and asterisks outside code mark stress."""
    parts = re.split(r"`([^`]+)`", html.escape(" ".join(text.split())))
    parts[0::2] = [re.sub(r"\*(\w[^*]*)\*", r"<em>\1</em>", part) for part in parts[0::2]]
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    return "".join(parts)
