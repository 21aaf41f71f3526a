"""For every operation: how it is called with somebody else's ids. An operation without a row fails the suite.

``{kind}`` stands for the id of a thing of that kind: the other workspace's in one call, one that nobody has in the
other. ``{own.kind}`` is the caller's own. A row with no ids at all must show nothing of the other workspace.
"""

from typing import Any

Row = dict[str, Any]

STEP = [{"type": "email", "subject": "Hello", "body": "<p>Hi</p>"}]
CSV = "email\nnew@rows.test\n"

ROWS: dict[str, list[Row]] = {
    "create_campaign": [
        {"name": "Mine", "sequence": STEP, "mailboxIds": ["{mbx}"]},
        {"name": "Mine", "sequence": STEP, "settings": {"aiAgentId": "{agent}"}},
    ],
    "list_campaigns": [{}, {"search": "Test campaign"}],
    "get_campaign": [{"id": "{camp}"}],
    "update_campaign": [{"id": "{camp}", "name": "Taken"}, {"id": "{own.camp}", "mailboxIds": ["{mbx}"]}],
    "start_campaign": [{"id": "{camp}"}],
    "pause_campaign": [{"id": "{camp}"}],
    "resume_campaign": [{"id": "{camp}"}],
    "preview_email": [
        {"id": "{camp}", "sequenceStep": 0, "leadId": "{own.lead}", "mailboxId": "{own.mbx}"},
        {"id": "{own.camp}", "sequenceStep": 0, "leadId": "{lead}", "mailboxId": "{own.mbx}"},
        {"id": "{own.camp}", "sequenceStep": 0, "leadId": "{cl}", "mailboxId": "{own.mbx}"},
        {"id": "{own.camp}", "sequenceStep": 0, "leadId": "{own.lead}", "mailboxId": "{mbx}"},
    ],
    "send_test_email": [
        {"id": "{camp}", "sequenceStep": 0, "mailboxId": "{own.mbx}", "customEmail": "me@rows.test"},
        {"id": "{own.camp}", "sequenceStep": 0, "mailboxId": "{mbx}", "customEmail": "me@rows.test"},
        {"id": "{own.camp}", "sequenceStep": 0, "mailboxId": "{own.mbx}", "leadId": "{lead}"},
    ],
    "plan_campaign": [{"id": "{camp}"}],
    "explain_lead": [
        {"id": "{camp}", "leadId": "{own.lead}"},
        {"id": "{own.camp}", "leadId": "{lead}"},
        {"id": "{own.camp}", "leadId": "{cl}"},
    ],
    "add_leads_to_campaign": [
        {"id": "{camp}", "leads": [{"email": "x@rows.test"}]},
        {"id": "{own.camp}", "leads": [{"leadId": "{lead}"}]},
        {"id": "{own.camp}", "filters": {"leadIds": ["{lead}"]}},
        {"id": "{own.camp}", "selectAll": True, "excludeIds": ["{lead}"]},
    ],
    "list_campaign_leads": [{"id": "{camp}"}],
    "import_campaign_leads_csv": [{"id": "{camp}", "csv": CSV}],
    "import_leads_csv": [],
    "list_leads": [{}, {"search": "lead0@lead0.test"}],
    "create_lead": [],
    "get_lead": [{"id": "{lead}"}],
    "update_lead": [{"id": "{lead}", "firstName": "Taken"}],
    "create_mailbox": [],
    "list_mailboxes": [{}],
    "get_mailbox": [{"id": "{mbx}"}],
    "list_conversations": [{}, {"campaignId": "{camp}"}],
    "get_conversation": [{"id": "{conv}"}],
    "tag_conversation": [
        {"conversationIds": ["{conv}"], "aiTag": "interested"},
        {"selectAll": True, "excludeIds": ["{conv}", "{own.conv}"], "aiTag": "interested"},
        {"selectAll": True, "filters": {"campaignId": "{camp}"}, "aiTag": "interested"},
    ],
    "send_reply": [{"id": "{conv}", "body": "Hello"}],
    "list_scheduled_replies": [{"id": "{conv}"}],
    "cancel_scheduled_reply": [{"id": "{conv}", "replyId": "{rep}"}],
    "list_tags": [{}],
    "create_tag": [],
    "list_dnc_entries": [{}, {"search": "secret"}],
    "add_dnc_entries": [],
    "list_agents": [{}],
    "create_agent": [],
    "generate_reply": [
        {"id": "{agent}", "conversationId": "{conv}"},
    ],
    "get_campaign_analytics": [{"id": "{camp}"}],
    "get_campaign_performance": [{"id": "{camp}"}],
    "get_analytics_overview": [{}],
    "get_daily_analytics": [{}],
    "get_mailbox_analytics": [{}],
    "get_job": [{"id": "{job}"}],
    "cancel_job": [{"id": "{job}"}],
    "pause_workspace": [],
    "resume_workspace": [],
}
"""Empty: the operation takes no id and shows nothing that exists already; it acts in the caller's workspace alone."""
