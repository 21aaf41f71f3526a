"""What the sandbox's contract suites share: an account, and the router with real adapters beside the sandbox."""

from postrider.adapters.egress import Egress
from postrider.adapters.imap import ImapReader
from postrider.adapters.routing import MailRouter
from postrider.adapters.sandbox import Sandbox
from postrider.adapters.smtp import SmtpTransport
from postrider.mailboxes.ports import MailAccount

ACCOUNT = MailAccount("workspace_1", "mailbox_1", "me@sender.example", "sandbox", None, None)
REAL_ACCOUNT = MailAccount("workspace_1", "mailbox_2", "real@sender.example", "custom", None, None)
"""Without servers, so that the real adapters answer at once that it has none."""


def router_with(sandbox: Sandbox) -> MailRouter:
    """A router over the sandbox and the real adapters."""
    egress = Egress(allow_private=False)
    return MailRouter(SmtpTransport(egress), ImapReader(egress), sandbox)
