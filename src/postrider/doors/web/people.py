"""The doors for people: every page behind which somebody signs in or is signed in."""

from starlette.routing import BaseRoute

from postrider.doors.installation import Installation
from postrider.doors.web.account import AccountPages
from postrider.doors.web.api_keys import KeyPages
from postrider.doors.web.approvals import ApprovalPages
from postrider.doors.web.apps import AppPages
from postrider.doors.web.beginnings import Beginnings
from postrider.doors.web.desk import Desk
from postrider.doors.web.entrance import Entrance
from postrider.doors.web.rendering import static_routes


class PeopleDoor:
    """All of their paths."""

    def __init__(self, installation: Installation) -> None:
        desk = Desk(installation)
        self._doors = (
            Entrance(desk),
            Beginnings(desk),
            AccountPages(desk),
            AppPages(desk),
            KeyPages(desk),
            ApprovalPages(desk),
        )

    def routes(self) -> list[BaseRoute]:
        """The pages, and the style sheet that they share."""
        return [*static_routes(), *(route for door in self._doors for route in door.routes())]
