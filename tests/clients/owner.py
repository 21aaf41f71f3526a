"""The owner of an installation at a real browser: the first steps, letting an app in, and putting it out."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Page, expect

from tests.people.browser_rig import Looker

EMAIL = "ann@ann.test"
PASSWORD = "purple tandem kettle"
_ENTERED = {"name": "Ann", "email": EMAIL, "password": PASSWORD, "again": PASSWORD, "place": "Ann's"}


@dataclass
class Owner:
    """Ann. ``asked``: for which scopes she was asked, each time that an app sent her somewhere."""

    looker: Looker
    asked: list[str] = field(default_factory=list)
    signed_in: int = 0
    _app: str = ""

    @property
    def page(self) -> Page:
        return self.looker.page

    @property
    def policy_complaints(self) -> list[str]:
        """What a page's policy would not let through. A missing icon of the app's own is none."""
        return [words for words in self.looker.complaints if "Failed to load resource" not in words]

    async def set_up(self, link: str) -> None:
        """Follows the link that the server printed, and is signed in."""
        await self.page.goto(link)
        for name, value in _ENTERED.items():
            await self.page.fill(f"#{name}", value)
        await self.page.click("text=Begin")
        await self.page.wait_for_url(f"{_origin(link)}/")

    async def let_in(self, address: str) -> None:
        """Opens what an app asks for, signs in if need be, says yes, and is led back to the app."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        self.asked.append(asked["scope"])
        self._app = _origin(asked["redirect_uri"])
        await self.page.goto(address)
        if await self.page.locator("#password").count():
            await self._sign_in()
        async with self.page.expect_response(lambda answer: answer.url.startswith(asked["redirect_uri"])) as back:
            await self.page.click('button[value="allow"]')
        assert (await back.value).status == 200

    async def revoke(self, origin: str, app: str) -> None:
        """Takes ``app`` off the list of connected apps, as often as it is there: each yes that it got is a line."""
        await self.page.goto(f"{origin}/")
        await self.page.click("nav[aria-label=Pages] >> text=Connected apps")
        lines = self.page.get_by_role("heading", name=app)
        for left in reversed(range(await lines.count())):
            await self.page.get_by_role("button", name=f"Revoke {app}").first.click()
            await expect(self.page.get_by_role("status")).to_contain_text("The app is revoked")
            await expect(lines).to_have_count(left)

    async def go_back(self) -> None:
        """To the app that was let in last."""
        await self.page.goto(f"{self._app}/again")

    async def _sign_in(self) -> None:
        self.signed_in += 1
        await self.page.fill("#email", EMAIL)
        await self.page.fill("#password", PASSWORD)
        await self.page.press("#password", "Enter")
        await self.page.wait_for_selector('button[value="allow"]')


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
