"""``/healthz`` (the process answers) and ``/readyz`` (it can do its work)."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import JSONResponse

from postrider.doors.heartbeat import lease_left_ms
from postrider.doors.installation import Installation
from postrider.storage.schema import HEAD

_log: Final = structlog.get_logger("postrider.health")


async def healthz(request: Request) -> JSONResponse:
    """Alive, without touching anything else."""
    return JSONResponse({"status": "ok", "version": version("postrider")})


@dataclass(frozen=True, slots=True)
class Readiness:
    """Answers /readyz. ``engine_expected``: an engine runs in this process, so that its silence is a fault."""

    installation: Installation
    engine_expected: bool

    async def answer(self, request: Request) -> JSONResponse:
        """200 when the database answers at the right revision and an expected engine is alive, else 503."""
        try:
            revision, left_ms = await self.installation.database.read(_look)
        except Exception:
            _log.warning("database_does_not_answer", exc_info=True)
            return JSONResponse({"status": "unavailable", "database": "no answer"}, 503)
        engine = self._engine(left_ms)
        ready = revision == HEAD and (engine["alive"] or not self.engine_expected)
        body = {
            "status": "ready" if ready else "unavailable",
            "database": "ok" if revision == HEAD else f"revision {revision}, {HEAD} is needed",
            "engine": engine,
        }
        return JSONResponse(body, 200 if ready else 503)

    def _engine(self, left_ms: int | None) -> dict[str, Any]:
        """The freshest lease of any engine: its last heartbeat is one lease before its expiry."""
        lease_ms = self.installation.settings.engine_lease_seconds * 1000
        age = None if left_ms is None else round(max(0, lease_ms - left_ms) / 1000, 1)
        alive = left_ms is not None and left_ms > 0
        return {"alive": alive, "expectedHere": self.engine_expected, "heartbeatAgeSeconds": age}


def _look(session: Session) -> tuple[str | None, int | None]:
    return session.execute(text("SELECT version_num FROM alembic_version")).scalar(), lease_left_ms(session)
