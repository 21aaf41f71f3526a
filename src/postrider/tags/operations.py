"""Labels for conversations: list, create and change. (Deleting one is in inbox: it also takes it off conversations.)"""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import bindparam, select

from postrider.content.headers import check_name, check_visible
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict, InvalidInput, NotFound
from postrider.kernel.misfits import Allowed
from postrider.kernel.operation import Effect, Input, Output, Rest, operation
from postrider.kernel.undoing import Undone, UndoRecord
from postrider.storage.prepared import Prepared
from postrider.tags.queries import find_tag
from postrider.tags.rules import DEFAULT_COLOR, tag_key
from postrider.tags.tables import Tag


class ListTags(Input):
    """Takes nothing."""


class TagOut(Output):
    """One label. ``positive``: it marks replies that are good news."""

    name: str
    description: str | None
    color: str
    positive: bool
    created_at: datetime


class TagList(Output):
    """All labels of the workspace, by name."""

    items: list[TagOut]


class CreateTag(Input):
    """A new label."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f/\\]+$", description="Unique label."),
        Allowed("one line of text without / and \\, such as interested"),
    ]
    description: Annotated[str | None, Field(max_length=500, description="When to use it.")] = None
    color: Annotated[
        str,
        Field(pattern=r"^#[0-9a-fA-F]{6}$", description="As #rrggbb."),
        Allowed("a color as #rrggbb, such as #16a34a"),
    ] = DEFAULT_COLOR
    positive: Annotated[bool, Field(description="Whether it marks replies that are good news.")] = False


def _out(tag: Tag) -> TagOut:
    return TagOut(
        name=tag.name,
        description=tag.description,
        color=tag.color,
        positive=tag.positive,
        created_at=tag.created_at,
    )


# Prepared, for agents ask for the labels all the time: loading rows as objects costs ten times what reading them does.
_BY_NAME: Final = Prepared(
    lambda _: (
        select(Tag.name, Tag.description, Tag.color, Tag.positive, Tag.created_at)
        .where(Tag.workspace_id == bindparam("workspace_id"))
        .order_by(Tag.name_key)
    )
)


@operation(
    title="List labels",
    keywords="kinds sorts outcome outcomes available exist colors which interested meeting",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/tags"),
)
def list_tags(ctx: Context, request: ListTags) -> TagList:
    """List the labels (AI tags) that conversations of this workspace can carry.

    Use a name from here with tag_conversation. Those with positive: true mark replies that are good news.
    """
    rows = _BY_NAME.rows(ctx.session.connection(), {"workspace_id": ctx.workspace_id})
    return TagList(items=[TagOut(**dict(zip(TagOut.model_fields, row, strict=True))) for row in rows])


@operation(
    title="Create a label",
    keywords="kind outcome own additional further",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/tags"),
)
def create_tag(ctx: Context, request: CreateTag) -> TagOut:
    """Create a label for conversations. Names are unique whatever their case; a second one is a conflict."""
    check_name(request.name, "name")
    check_visible(request.description or "", "description")
    existing = find_tag(ctx.session, ctx.workspace_id, request.name)
    if existing is not None:
        raise Conflict(
            f"A label called {existing.name!r} exists already.", hint="Use it, or choose another name (see list_tags)."
        )
    tag = Tag(
        workspace_id=ctx.workspace_id,
        name_key=tag_key(request.name),
        name=" ".join(request.name.split()),
        description=request.description,
        color=request.color.lower(),
        positive=request.positive,
        created_at=ctx.now,
    )
    ctx.session.add(tag)
    return _out(tag)


class UpdateTag(Input):
    """What changes; what is left out stays. The name cannot be changed."""

    name: Annotated[str, Field(max_length=60, description="Name of the label, in any case.")]
    description: Annotated[str | None, Field(max_length=500, description="When to use it; null takes it away.")] = None
    color: Annotated[
        str | None,
        Field(pattern=r"^#[0-9a-fA-F]{6}$", description="As #rrggbb."),
        Allowed("a color as #rrggbb, such as #16a34a"),
    ] = None
    positive: Annotated[bool | None, Field(description="Whether it marks replies that are good news.")] = None


def undo_update(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Gives the label back what it had, unless it was changed again or is gone."""
    tag = find_tag(ctx.session, ctx.workspace_id, payload["name"])
    if tag is None:
        return Undone(0, {"gone_since": 1})
    before, after = payload["before"], payload["after"]
    if any(getattr(tag, name) != value for name, value in after.items()):
        return Undone(0, {"changed_since": 1})
    for name, value in before.items():
        setattr(tag, name, value)
    return Undone(1, {})


@operation(
    title="Change a label",
    keywords="colour positive negative good bad count meaning text describe wording result",
    effect=Effect.WRITE,
    rest=Rest("PATCH", "/v1/tags/{name}"),
    idempotent=True,
    undo=undo_update,
)
def update_tag(ctx: Context, request: UpdateTag) -> TagOut:
    """Change a label's description, color, or whether it marks good news. Its name stays; see list_tags."""
    check_visible(request.description or "", "description")
    tag = find_tag(ctx.session, ctx.workspace_id, request.name)
    if tag is None:
        raise NotFound("There is no such label.", hint="See list_tags.")
    given = request.model_fields_set - {"name"}
    if not given:
        raise InvalidInput("Nothing was given to change.", hint="Give description, color or positive.")
    after: dict[str, Any] = {}
    if "description" in given:
        after["description"] = request.description
    if request.color is not None:
        after["color"] = request.color.lower()
    if request.positive is not None:
        after["positive"] = request.positive
    before = {name: getattr(tag, name) for name in after}
    for name, value in after.items():
        setattr(tag, name, value)
    if before != after:
        record: dict[str, Any] = {"name": tag.name, "before": before, "after": after}
        ctx.undoable(UndoRecord(record, "A label gets back what it had.", 1))
    return _out(tag)
