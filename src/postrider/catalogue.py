"""The explicit list of feature modules, and the operations found in them."""

from collections.abc import Iterable, Iterator
from types import ModuleType

from postrider.access import key_operations as api_keys
from postrider.access import operations as access
from postrider.access import workspace_operations as workspace
from postrider.agents import operations as agents
from postrider.analytics import operations as analytics
from postrider.audit import export_operations as audit_export
from postrider.audit import operations as audit
from postrider.campaigns import deletion_operations as deletion
from postrider.campaigns import import_operations as imports
from postrider.campaigns import lead_operations as campaign_leads
from postrider.campaigns import operations as campaigns
from postrider.campaigns import operations_launch as campaign_launch
from postrider.campaigns import removal_operations as removal
from postrider.confirmations import operations as confirmations
from postrider.dnc import operations as dnc
from postrider.dnc import removal as dnc_removal
from postrider.files import operations as files
from postrider.grants import operations as grants
from postrider.inbox import bulk_operations as inbox_bulk
from postrider.inbox import operations as inbox
from postrider.inbox import reply_operations as replies
from postrider.jobs import operations as jobs
from postrider.kernel.operation import ATTRIBUTE, Operation
from postrider.leads import operations as leads
from postrider.mailboxes import operations as mailboxes
from postrider.sending import content_operations as content
from postrider.sending import explain_operations as explain
from postrider.sending import lead_operations as campaign_lead_lists
from postrider.sending import plan_operations as plan
from postrider.tags import operations as tags
from postrider.undo import operations as undo

MODULES: tuple[ModuleType, ...] = (
    campaigns,
    campaign_launch,
    leads,
    imports,
    campaign_leads,
    campaign_lead_lists,
    removal,
    deletion,
    jobs,
    files,
    content,
    plan,
    explain,
    mailboxes,
    inbox,
    inbox_bulk,
    replies,
    agents,
    tags,
    dnc,
    dnc_removal,
    undo,
    access,
    workspace,
    confirmations,
    api_keys,
    audit,
    audit_export,
    grants,
    analytics,
)


class Catalogue:
    """Every operation by name and alias, in the order of their declaration."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = tuple(operations)
        self._by_name: dict[str, Operation] = {}
        for operation in self._operations:
            for name in (operation.name, *operation.aliases):
                if name in self._by_name:
                    raise ValueError(f"two operations are called {name}")
                self._by_name[name] = operation

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    def find(self, name: str) -> Operation | None:
        """The operation of that name or alias."""
        return self._by_name.get(name)


def load_catalogue(modules: Iterable[ModuleType] = MODULES) -> Catalogue:
    """The catalogue of ``modules``: every function declared as an operation in the module itself."""
    found = [
        getattr(member, ATTRIBUTE)
        for module in modules
        for member in vars(module).values()
        if hasattr(member, ATTRIBUTE) and member.__module__ == module.__name__
    ]
    return Catalogue(found)
