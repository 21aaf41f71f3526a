"""Counts and rates as every answer of this feature shows them."""

from postrider.analytics.queries import Counts, percent
from postrider.campaigns.output import delivered
from postrider.kernel.operation import Output


class Stats(Output):
    """Counts. Delivered = sent − returned by a bounce message; opened and clicked count messages, replied leads.

    Rates are percentages with one decimal: replies, opens and clicks of what was delivered, bounces of what was sent.
    ``complained``: called an email spam; their leads end as unsubscribed, which ``unsubscribed`` does not count.
    ``unknown``: handed to a mail server that never answered, so neither counted as sent nor sent again.
    """

    sent: int
    delivered: int
    opened: int
    clicked: int
    replied: int
    auto_replied: int
    bounced: int
    unsubscribed: int
    complained: int
    unknown: int
    failed: int
    open_rate: float
    click_rate: float
    reply_rate: float
    bounce_rate: float


def stats_of(counts: Counts) -> Stats:
    """The stats that ``counts`` add up to. A refused message bounces without being sent; a returned one was sent."""
    sent, bounced, returned = counts["sent"], counts["bounced"], counts["returned"]
    arrived = delivered(sent, returned)
    tried = sent + bounced - returned
    return Stats(
        sent=sent,
        delivered=arrived,
        opened=counts["opened"],
        clicked=counts["clicked"],
        replied=counts["replied"],
        auto_replied=counts["auto_replied"],
        bounced=bounced,
        unsubscribed=counts["unsubscribed"],
        complained=counts["complained"],
        unknown=counts["unknown"],
        failed=counts["failed"],
        open_rate=percent(counts["opened"], arrived),
        click_rate=percent(counts["clicked"], arrived),
        reply_rate=percent(counts["replied"], arrived),
        bounce_rate=percent(bounced, tried),
    )
