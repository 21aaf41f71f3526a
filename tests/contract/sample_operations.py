"""Operations that exist only to show how a door translates: every kind of input, output and failure."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field

from postrider.jobs.queries import create_job, new_job_id
from postrider.kernel import errors
from postrider.kernel.context import Context, OutsideContext
from postrider.kernel.operation import Effect, Input, Output, Rest, operation
from postrider.kernel.page import Page, PageInput


class Part(Output):
    id: str
    label: str


class Thing(Output):
    id: str
    name: str
    parts: list[Part]
    main_part: Part | None
    custom_fields: dict[str, str]


class Filter(Input):
    country: str | None = None
    minimum: int = 0


class ListThings(PageInput):
    tags: list[str] = []
    active: bool | None = None
    filters: Filter | None = None
    search: str | None = None


class Heard(Output):
    """What arrived."""

    heard: str


class HeardPage(Page[Heard]):
    """A page that also says how many are unread."""

    unread: int


class ThingId(Input):
    id: str


class ChangeThing(Input):
    id: str
    name: Annotated[str, Field(min_length=1)] = "unnamed"
    custom_fields: dict[str, str] = {}
    filters: Filter | None = None


class Nothing(Input):
    pass


class Failure(Input):
    kind: Literal["input", "forbidden", "absent", "conflict", "confirm", "limit", "upstream", "crash"]


class Upload(Input):
    label: str = ""
    skip_duplicates: bool = False
    mapping: dict[str, str] = {}
    tags: list[str] = []


class Uploaded(Output):
    arguments: str
    name: str | None
    path: str | None
    size_bytes: int | None
    digest: str | None


class StartedJob(Output):
    job_id: str


def _thing(request: ChangeThing) -> Thing:
    part = Part(id="part_1", label="wheel")
    return Thing(id=request.id, name=request.name, parts=[part], main_part=part, custom_fields=request.custom_fields)


@operation(title="List things", effect=Effect.READ, rest=Rest("GET", "/v1/things"))
def list_things(ctx: Context, request: ListThings) -> HeardPage:
    """Says what it heard."""
    heard = Heard(heard=request.model_dump_json(by_alias=True))
    return HeardPage(items=[heard], limit=request.limit, total=101, has_more=True, next_cursor="abc", unread=3)


@operation(title="Change a thing", effect=Effect.WRITE, rest=Rest("PATCH", "/v1/things/{id}"))
def change_thing(ctx: Context, request: ChangeThing) -> Thing:
    """Gives back the thing as it would be."""
    return _thing(request)


@operation(title="Make a thing", effect=Effect.WRITE, rest=Rest("POST", "/v1/things", status=201))
def make_thing(ctx: Context, request: ChangeThing) -> Thing:
    """Gives back the new thing."""
    return _thing(request)


@operation(title="Show a thing", effect=Effect.READ, rest=Rest("GET", "/v1/things/{id}"))
def show_thing(ctx: Context, request: ThingId) -> Heard:
    """Says which thing."""
    return Heard(heard=f"thing {request.id}")


@operation(title="Count things", effect=Effect.READ, rest=Rest("GET", "/v1/things/count"))
def count_things(ctx: Context, request: Nothing) -> Heard:
    """Says that it counts."""
    return Heard(heard="count")


@operation(title="Fail", effect=Effect.READ, rest=Rest("GET", "/v1/fail/{kind}"))
def fail(ctx: Context, request: Failure) -> Heard:
    """Fails as asked."""
    raise {
        "input": errors.InvalidInput("Bad name.", field="name", hint="Shorten it."),
        "forbidden": errors.Forbidden("Not you."),
        "absent": errors.NotFound("No such thing."),
        "conflict": errors.Conflict("It is paused.", code="PAUSED"),
        "confirm": errors.ConfirmationNeeded("Sure?", details={"people": 3}),
        "limit": errors.LimitReached("Slow down.", retry_after_seconds=7),
        "upstream": errors.Upstream("The server hung up.", retryable=True),
        "crash": RuntimeError("the password is swordfish"),
    }[request.kind]


@operation(
    title="Upload",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/things/import/csv", aliases=("/v1/things/import-csv",), file_field="file"),
    open_world=False,
)
async def upload_things(ctx: OutsideContext, request: Upload) -> Uploaded:
    """Says which file came."""
    file = ctx.files.get("file")
    digest = hashlib.sha256(file.path.read_bytes()).hexdigest() if file else None
    return Uploaded(
        arguments=request.model_dump_json(),
        name=file.name if file else None,
        path=str(file.path) if file else None,
        size_bytes=file.size_bytes if file else None,
        digest=digest,
    )


@operation(title="Long work", effect=Effect.WRITE, rest=Rest("POST", "/v1/things/long", waits_for_job=True))
def start_long_work(ctx: Context, request: Nothing) -> StartedJob:
    """Starts a job."""
    job_id = new_job_id(ctx.now)
    create_job(
        ctx.session,
        workspace_id=ctx.workspace_id,
        job_id=job_id,
        kind="sample",
        arguments={},
        result={},
        total=2,
        created_by=ctx.actor.credential_id,
        now=ctx.now,
    )
    return StartedJob(job_id=job_id)


@operation(
    title="Only for platform keys",
    effect=Effect.READ,
    key="platform",
    rest=Rest("GET", "/v1/account"),
)
def get_account(ctx: Context, request: Nothing) -> Heard:
    """Needs a platform key."""
    return Heard(heard=ctx.actor.user_id)
