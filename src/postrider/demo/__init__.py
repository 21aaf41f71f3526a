"""``postrider demo``: two weeks of a campaign in under a minute, with every number checked at the end."""
