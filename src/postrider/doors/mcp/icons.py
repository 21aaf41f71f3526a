"""Icons for clients that show some: small drawings in one colour, inline, so that nothing is fetched for them."""

from base64 import b64encode
from typing import Final

from mcp_types import Icon

_SHAPES: Final = {
    "postrider": "M2 5h20v14H2zM2 6l10 7 10-7",
    "campaign": "M3 10v4h4l8 5V5l-8 5zM18 9a4 4 0 0 1 0 6",
    "figures": "M4 20V10M10 20V4M16 20v-8M21 20H3",
    "inbox": "M3 13l3-8h12l3 8v6H3zM3 13h5l2 3h4l2-3h5",
    "mailbox": "M3 6h18v12H3zM3 7l9 6 9-6",
    "workspace": "M4 20V8l8-4 8 4v12zM9 20v-6h6v6",
    "write": "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4",
    "diagnose": "M10.5 4a6.5 6.5 0 1 0 .01 0zM15 15l6 6",
}


def icons(name: str) -> list[Icon]:
    """The drawing of that name."""
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#2563eb" stroke-width="2" '
        f'stroke-linejoin="round" stroke-linecap="round"><path d="{_SHAPES[name]}"/></svg>'
    )
    source = f"data:image/svg+xml;base64,{b64encode(drawing.encode()).decode()}"
    return [Icon(src=source, mime_type="image/svg+xml", sizes=["any"])]
