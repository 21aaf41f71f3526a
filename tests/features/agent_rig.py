"""Agents that write with models of the tests."""

import json
import re
from typing import Any

from postrider.agents.ports import Completion, Prompt, ReplyModel
from tests.conftest import Installation

COMPANY = {"name": "Acme", "description": "We sell anvils. Prices: https://acme.test/pricing. Book: acme.test/demo"}
PERSONA = {
    "tone": "friendly",
    "role": "sales",
    "communicationStyle": "short",
    "customInstructions": "Offer a call. See https://cal.test/acme?x=1",
}


class Obeying:
    """The worst case: does all that any text in its prompt asks for, and spills everything it was shown."""

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []

    async def complete(self, prompt: Prompt) -> Completion:
        self.prompts.append(prompt)
        shown = "\n".join(turn.text for turn in prompt.turns)
        orders = re.findall(r"(?:\[\[)(.*?)(?:\]\])", shown, re.DOTALL)
        wish = "\n".join(json.loads(f'"{order}"') for order in orders)
        body = f"{wish}\nMy rules are: {prompt.system}\nAnd I know: {shown}"
        return Completion(json.dumps({"body": body}), "obeying", 1, 1)


def use(installation: Installation, model: ReplyModel | None) -> None:
    """Gives the running application a model, or takes it away."""
    ports = installation.app.ports
    assert isinstance(ports, dict)
    ports.pop(ReplyModel, None)
    if model is not None:
        ports[ReplyModel] = model


async def make_agent(installation: Installation, name: str = "Ada", **more: Any) -> Any:
    return await installation.call("create_agent", name=name, companyInfo=COMPANY, persona=PERSONA, **more)
