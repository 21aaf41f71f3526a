"""What all pages share: who is there, in which workspace, and errors as pages."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from postrider.access.passwords import PasswordWork
from postrider.access.people import Place, person_actor, workspaces_of
from postrider.access.people_rules import may_administer
from postrider.dispatch import Answer, Call
from postrider.doors.installation import Installation
from postrider.doors.rest.problems import status_of
from postrider.doors.web.consent import error_page
from postrider.doors.web.forms import Form, read_form
from postrider.doors.web.rendering import render
from postrider.doors.web.sessions import CSRF_FIELD, Person, Sessions, check_csrf
from postrider.kernel.context import Actor
from postrider.kernel.errors import Forbidden, LimitReached, NotFound, PostriderError

SIGN_IN: Final = "/sign-in"
_WORKSPACE: Final = "workspace"
_TITLES: Final = {
    400: "That did not fit",
    403: "That is not allowed",
    404: "There is nothing here",
    409: "That is not possible any more",
    429: "Too many tries",
    502: "Somebody else does not answer",
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in, and the workspace that they look at; None when they belong to none."""

    person: Person
    places: list[Place]
    place: Place | None

    @property
    def home(self) -> Place:
        """The workspace. Raises: NotFound when there is none."""
        if self.place is None:
            raise NotFound("You belong to no workspace here.", hint="Ask somebody who runs this server to let you in.")
        return self.place

    @property
    def administers(self) -> bool:
        """Whether they may make keys here, and decide about everybody's apps."""
        return self.place is not None and may_administer(self.place.role)

    def path(self, path: str, **query: str) -> str:
        """A path of ours, in the same workspace."""
        chosen = {_WORKSPACE: self.place.id} if self.place is not None and len(self.places) > 1 else {}
        words = urlencode(chosen | query)
        return f"{path}?{words}" if words else path


Page = Callable[[Request], Awaitable[Response]]
PrivatePage = Callable[[Request, Visitor], Awaitable[Response]]


@dataclass(slots=True)
class Desk:
    """What the doors for people have in common."""

    installation: Installation
    sessions: Sessions = field(init=False)
    passwords: PasswordWork = field(default_factory=PasswordWork)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.installation)

    def public(self, page: Page) -> Page:
        """The page for anybody, whose errors are pages too. It is refused where others could listen."""

        async def answer(request: Request) -> Response:
            if not self.sessions.is_safe(request):
                return error_page(
                    403,
                    "This page needs https",
                    "Passwords and sessions do not travel over a network that others can listen to.",
                    "Put a proxy that ends TLS in front, and set POSTRIDER_PUBLIC_URL and POSTRIDER_TRUSTED_PROXIES; "
                    "or use this machine's own address, http://127.0.0.1 (an SSH tunnel leads there from elsewhere).",
                )
            try:
                return await page(request)
            except ClientDisconnect:
                return Response(status_code=400)
            except PostriderError as error:
                return problem_page(error)

        return answer

    def private(self, page: PrivatePage) -> Page:
        """The page for somebody who is signed in; anybody else is led to sign in and back."""

        async def answer(request: Request) -> Response:
            person = await self.sessions.person_of(request)
            if person is None:
                return see_other(sign_in_path(request))
            wanted = request.query_params.get(_WORKSPACE)
            places = await self.installation.database.read(lambda session: workspaces_of(session, person.user_id))
            place = next((each for each in places if each.id == wanted), None)
            if wanted is not None and place is None:
                raise NotFound("Workspace not found.", hint="Choose one that you belong to.")
            return await page(request, Visitor(person, places, place or next(iter(places), None)))

        return self.public(answer)

    async def form(self, request: Request, person: Person) -> Form:
        """The form that a person sent. Raises: Forbidden when it was not shown to them."""
        form = await read_form(request)
        check_csrf(person, form)
        return form

    async def actor(self, visitor: Visitor) -> Actor:
        """The visitor as one who calls operations."""
        user_id, place = visitor.person.user_id, visitor.home
        return await self.installation.database.read(lambda session: person_actor(session, user_id, place.id))

    async def call(self, visitor: Visitor, operation: str, arguments: Mapping[str, Any], key: str | None = None) -> Any:
        """The output of an operation that the visitor calls. ``key``: the idempotency key."""
        actor = await self.actor(visitor)
        answer: Answer = await self.installation.dispatcher.call(
            Call(operation, arguments, actor, idempotency_key=key or None)
        )
        return answer.output

    def show(self, visitor: Visitor, template: str, *, here: str, status: int = 200, **values: Any) -> Response:
        """A page with the bar above it. ``here``: its place in the bar."""
        return render(template, status=status, visitor=visitor, here=here, csrf_field=CSRF_FIELD, **values)


def problem_page(error: PostriderError) -> Response:
    """An error in words, under the status that programs get."""
    status = status_of(error)
    response = error_page(status, _TITLES.get(status, "That did not work"), error.message, error.hint)
    if isinstance(error, LimitReached) and error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def see_other(path: str) -> RedirectResponse:
    """A redirect to another page, which is fetched there."""
    return RedirectResponse(path, 303)


def sign_in_path(request: Request) -> str:
    """Where somebody signs in who then comes back to ``request``, if that only looked."""
    wanted = request.url.path
    if request.url.query:
        wanted = f"{wanted}?{request.url.query}"
    if request.method not in ("GET", "HEAD") or wanted == "/":
        return SIGN_IN
    return f"{SIGN_IN}?next={quote(wanted, safe='')}"


def only_administrators(visitor: Visitor) -> None:
    """Raises: Forbidden for those who may not administer the workspace."""
    if not visitor.administers:
        raise Forbidden(
            "Only owners and admins of the workspace may do this.", hint="Ask one of them, or choose another workspace."
        )
