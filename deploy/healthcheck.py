"""Ends with 0 if the server on this machine is ready for its work, else says why not: python healthcheck.py [PORT]

/readyz, not /healthz: a server without its database, or whose engine has stopped, answers and still sends nothing.
"""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8025, timeout=4)
try:
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    said = answer.read(2_000).decode(errors="replace")
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"no answer: {error}")
sys.exit(None if answer.status == 200 else f"status {answer.status}: {said}")
