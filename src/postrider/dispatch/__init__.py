"""The only runner of operations. Doors translate; authority lives here."""

from postrider.dispatch.dispatcher import Answer, Call, Dispatcher

__all__ = ["Answer", "Call", "Dispatcher"]
