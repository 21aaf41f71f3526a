"""The one kind of TLS that Postrider speaks to other servers."""

import ssl
from pathlib import Path


def verified_tls(ca_file: Path | None = None) -> ssl.SSLContext:
    """A context that verifies certificate and host name, from TLS 1.2 on.

    By the system's authorities, and by those in ``ca_file``. Raises: OSError (ssl.SSLError) for a file without any.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
