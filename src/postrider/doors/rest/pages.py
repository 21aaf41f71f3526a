"""Outputs as /v1 sends them: the envelope, lists with their pagination, and ``_id`` beside every ``id``."""

import math
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from postrider.kernel.page import Page

PAGE_FIELDS: Final = frozenset({"items", "limit", "total", "hasMore", "nextCursor"})


def is_list(model: type[BaseModel]) -> bool:
    """Whether outputs of ``model`` are lists: pages, and whatever has only ``items``, counted or not."""
    return issubclass(model, Page) or set(model.model_fields) in ({"items"}, {"items", "total"})


def envelope(output: BaseModel, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a successful answer. ``arguments``: those of the call, for the page number of a list."""
    data = wire(output)
    if not is_list(type(output)):
        return {"success": True, "data": data}
    beside = {name: value for name, value in data.items() if name not in PAGE_FIELDS}
    return {"success": True, "data": data["items"], "pagination": _pagination(data, arguments), **beside}


def wire(value: BaseModel) -> dict[str, Any]:
    """``value`` in camelCase JSON values, every object that has ``id`` with ``_id`` too.

    Only declared objects get it: free-form ones (custom fields) stay as their owner wrote them.
    """
    dumped: dict[str, Any] = value.model_dump(mode="json", by_alias=True)
    _add_ids(value, dumped)
    return dumped


def _add_ids(value: Any, dumped: Any) -> None:
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        for name, field in type(value).model_fields.items():
            inner = getattr(value, name)
            if isinstance(inner, BaseModel | list | tuple | dict):
                _add_ids(inner, dumped.get(field.serialization_alias or field.alias or name))
        if "id" in dumped:
            dumped["_id"] = dumped["id"]
    elif isinstance(value, list | tuple) and isinstance(dumped, list):
        for item, copy in zip(value, dumped, strict=False):
            _add_ids(item, copy)
    elif isinstance(value, dict) and isinstance(dumped, dict):
        for key, item in value.items():
            _add_ids(item, dumped.get(key))


def _pagination(data: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    count = len(data["items"])
    # A list that is never cut has no limit of its own: all that there is stands on its one page.
    limit, total = data.get("limit", max(count, 1)), data.get("total", count)
    page = arguments.get("page") or 1
    return {
        # A cursor says where to go on, not which page that is.
        "page": None if arguments.get("cursor") else int(page),
        "limit": limit,
        "total": total,
        "pages": math.ceil(total / limit),
        "hasMore": data.get("hasMore", False),
        "nextCursor": data.get("nextCursor"),
    }
