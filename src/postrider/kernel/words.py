"""Numbers in sentences."""


def counted(count: int, one: str, many: str) -> str:
    """``1 lead``, ``1,200 leads``."""
    return f"{count:,} {one if count == 1 else many}"
