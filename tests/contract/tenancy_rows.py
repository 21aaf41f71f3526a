"""For every operation: how it is called with somebody else's things. A field without a row of its own fails the suite.

``{kind}`` stands for a thing of that kind: the other workspace's in one call, one that nobody has in the other.
``{own.kind}`` is the caller's own. A row with nothing foreign must show nothing of the other workspace.
"""

from typing import Any

Row = dict[str, Any]

STEP = [{"type": "email", "subject": "Hello", "body": "<p>Hi</p>"}]
FOREIGN_STEP = [{**STEP[0], "id": "{step}"}]
FLOW = {"status": "archived", "trigger": {"type": "reply"}}
CSV = "email\nnew@rows.test\n"

NATURAL_KEYS = frozenset({"cursor", "search", "aiTag", "mailboxEmails", "mailboxTags", "mailboxes"})
"""Fields that name or look for things of the workspace by something else than an id."""

NAME_NOTHING_HERE = {"settings.slackChannelId": "a channel of Slack, which no workspace owns"}

NATURAL_PATHS = frozenset({("update_tag", "name"), ("delete_tag", "name"), ("remove_dnc_entries", "emails[]")})
"""Operation and field: more of the kind, under names that elsewhere name nothing that exists."""

MANY_CONVERSATIONS: list[Row] = [
    {"conversationIds": ["{conv}"]},
    {"selectAll": True, "filters": {"campaignId": "{camp}"}},
    {"selectAll": True, "filters": {"aiTag": "{label}"}},
    {"selectAll": True, "filters": {"search": "{lead_name}"}},
    {"selectAll": True, "filters": {"search": "nobody at all"}, "excludeIds": ["{conv}"]},
]

ROWS: dict[str, list[Row]] = {
    "create_campaign": [
        {"name": "Mine", "sequence": STEP, "mailboxIds": ["{mbx}"]},
        {"name": "Mine", "sequence": STEP, "mailboxes": ["{mbx}"]},
        {"name": "Mine", "sequence": STEP, "mailboxEmails": ["{address}"]},
        {"name": "Mine", "sequence": STEP, "mailboxTags": ["{box_tag}"]},
        {"name": "Mine", "sequence": STEP, "settings": {"aiAgentId": "{agent}"}},
        {"name": "Mine", "sequence": FOREIGN_STEP},
        {"name": "Mine", "subsequences": [{**FLOW, "id": "{subseq}"}]},
        {"name": "Mine", "subsequences": [{**FLOW, "sequence": FOREIGN_STEP}]},
    ],
    "list_campaigns": [{}, {"search": "{campaign_name}"}, {"cursor": "{cursor.list_campaigns}"}],
    "get_campaign": [{"id": "{camp}"}],
    "update_campaign": [
        {"id": "{camp}", "name": "Taken"},
        {"id": "{own.camp}", "mailboxIds": ["{mbx}"]},
        {"id": "{own.camp}", "mailboxes": ["{mbx}"]},
        {"id": "{own.camp}", "mailboxEmails": ["{address}"]},
        {"id": "{own.camp}", "mailboxTags": ["{box_tag}"]},
        {"id": "{own.camp}", "settings": {"aiAgentId": "{agent}"}},
        {"id": "{own.camp}", "sequence": FOREIGN_STEP},
        {"id": "{own.camp}", "subsequences": [{**FLOW, "id": "{subseq}"}]},
        {"id": "{own.camp}", "subsequences": [{**FLOW, "id": "{own.subseq}", "sequence": FOREIGN_STEP}]},
    ],
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
        {"id": "{own.camp}", "filters": {"tags": ["{lead_tag}"]}},
        {"id": "{own.camp}", "filters": {"search": "{lead_name}"}},
        {"id": "{own.camp}", "selectAll": True, "excludeIds": ["{lead}"]},
    ],
    "list_campaign_leads": [
        {"id": "{camp}"},
        {"id": "{own.camp}", "search": "{lead_name}"},
        {"id": "{own.camp}", "cursor": "{cursor.list_campaign_leads}"},
    ],
    "import_campaign_leads_csv": [{"id": "{camp}", "csv": CSV}, {"id": "{own.camp}", "uploadId": "{file}"}],
    "import_leads_csv": [{"uploadId": "{file}"}],
    "list_leads": [
        {},
        {"search": "{lead_name}"},
        {"tags": ["{lead_tag}"]},
        {"cursor": "{cursor.list_leads}"},
    ],
    "create_lead": [],
    "get_lead": [{"id": "{lead}"}],
    "update_lead": [{"id": "{lead}", "firstName": "Taken"}],
    "create_mailbox": [],
    "list_mailboxes": [{}, {"search": "{address}"}, {"cursor": "{cursor.list_mailboxes}"}],
    "get_mailbox": [{"id": "{mbx}"}],
    "list_conversations": [
        {},
        {"campaignId": "{camp}"},
        {"aiTag": "{label}"},
        {"search": "{lead_name}"},
        {"cursor": "{cursor.list_conversations}"},
    ],
    "get_conversation": [{"id": "{conv}"}, {"id": "{own.conv}", "cursor": "{cursor.get_conversation}"}],
    "tag_conversation": [
        {"conversationIds": ["{conv}"], "aiTag": "interested"},
        {"conversationId": "{conv}", "aiTag": "interested"},
        {"conversationId": "{own.conv}", "aiTag": "{label}"},
        {"selectAll": True, "excludeIds": ["{conv}", "{own.conv}", "{own.other_conv}"], "aiTag": "interested"},
        {"selectAll": True, "filters": {"campaignId": "{camp}"}, "aiTag": "interested"},
        {"selectAll": True, "filters": {"aiTag": "{label}"}, "aiTag": "interested"},
        {"selectAll": True, "filters": {"search": "{lead_name}"}, "aiTag": "interested"},
    ],
    "send_reply": [{"id": "{conv}", "body": "Hello"}, {"id": "{own.conv}", "body": "Hello", "mailboxId": "{mbx}"}],
    "list_scheduled_replies": [
        {"id": "{conv}"},
        {"id": "{own.conv}", "cursor": "{cursor.list_scheduled_replies}"},
    ],
    "cancel_scheduled_reply": [
        {"id": "{conv}", "replyId": "{own.rep}"},
        {"id": "{own.conv}", "replyId": "{rep}"},
    ],
    "list_tags": [{}],
    "create_tag": [],
    "list_dnc_entries": [{}, {"search": "{listed}"}, {"cursor": "{cursor.list_dnc_entries}"}],
    "add_dnc_entries": [],
    "list_agents": [{}],
    "create_agent": [],
    "generate_reply": [
        {"id": "{agent}", "conversationId": "{own.conv}"},
        {"id": "{own.agent}", "conversationId": "{conv}"},
    ],
    "get_campaign_analytics": [{"id": "{camp}"}],
    "get_campaign_performance": [{"id": "{camp}"}],
    "get_analytics_overview": [{}],
    "get_daily_analytics": [{}, {"campaignId": "{camp}"}],
    "get_mailbox_analytics": [{}, {"cursor": "{cursor.get_mailbox_analytics}"}],
    "get_job": [{"id": "{job}"}],
    "cancel_job": [{"id": "{job}"}],
    "get_workspace": [{"id": "{ws}"}],
    "list_approvals": [{}, {"status": "pending"}, {"cursor": "{cursor.list_approvals}"}],
    "pause_workspace": [],
    "resume_workspace": [],
    "list_audit_events": [
        {"operation": "create_tag"},
        {"operation": "create_tag", "credentialId": "{key}"},
        {"operation": "create_tag", "targetId": "{camp}"},
        {"operation": "create_tag", "cursor": "{cursor.list_audit_events}"},
    ],
    "export_audit_events": [
        {"operation": "create_tag", "credentialId": "{key}"},
        {"operation": "create_tag", "targetId": "{camp}"},
    ],
    "create_upload": [],
    "list_undo_entries": [{}, {"cursor": "{cursor.list_undo_entries}"}],
    "undo_operation": [{"id": "{und}"}],
    "update_tag": [{"name": "{label}", "color": "#111111"}],
    "delete_tag": [{"name": "{label}"}],
    "remove_dnc_entries": [{"emails": ["a@{listed}"]}, {"selectAll": True, "search": "{listed}"}],
    "delete_campaign": [{"id": "{camp}"}],
    "delete_leads": [
        {"leadIds": ["{lead}"]},
        {"deleteAll": True, "force": True, "filters": {"tags": ["{lead_tag}"]}},
        {"deleteAll": True, "force": True, "filters": {"search": "{lead_name}"}},
        {"deleteAll": True, "force": True, "filters": {"leadIds": ["{lead}"]}},
        {"deleteAll": True, "filters": {"search": "nobody at all"}, "excludeIds": ["{lead}"]},
    ],
    "bulk_action_campaign_leads": [
        {"id": "{camp}", "action": "pause", "selectAll": True},
        {"id": "{own.camp}", "action": "pause", "leadIds": ["{cl}"]},
        {"id": "{own.camp}", "action": "pause", "leadIds": ["{lead}"]},
        {"id": "{own.camp}", "action": "pause", "selectAll": True, "filters": {"search": "{lead_name}"}},
        {"id": "{own.camp}", "action": "resume", "selectAll": True, "excludeIds": ["{cl}"]},
    ],
    "delete_conversations": MANY_CONVERSATIONS,
    "mark_conversations_read": MANY_CONVERSATIONS,
    "list_api_keys": [{}],
    "create_api_key": [],
    "revoke_api_key": [{"id": "{key}"}],
    "list_connected_apps": [{}, {"userId": "{usr}"}],
    "revoke_connected_app": [{"id": "{grt}"}],
}
"""Empty: the operation names nothing and shows nothing that exists already; it acts in the caller's workspace alone."""
