"""Whether a credential may use an operation at all, before its input is looked at."""

from postrider.kernel.context import Actor
from postrider.kernel.errors import Forbidden
from postrider.kernel.operation import Effect, Operation, Scope


def check_authority(operation: Operation, actor: Actor) -> None:
    """Raises: Forbidden, saying what is missing."""
    if operation.key == "platform" and actor.kind in ("workspace_key", "oauth_grant"):
        raise Forbidden(
            f"{operation.name} needs a platform key.",
            hint="Use a key that starts with sk_user_; other credentials reach one workspace only.",
        )
    if operation.scope not in actor.scopes:
        raise missing_scope(f"This credential may not use {operation.name}", operation.scope)
    if actor.toolsets is not None and operation.toolset not in actor.toolsets:
        raise Forbidden(
            f"This credential may not use {operation.name}: it is narrowed to {', '.join(sorted(actor.toolsets))}.",
            hint="Use a credential that is not narrowed, or one that has this toolset.",
            details={"toolset": operation.toolset},
        )
    if actor.autonomy == "readonly" and operation.effect is not Effect.READ:
        raise Forbidden(
            f"This credential only reads: {operation.name} would change something.",
            code="AUTONOMY_READONLY",
            hint="Tell the person what you would do; they can give the credential more autonomy.",
        )


def missing_scope(what: str, scope: Scope) -> Forbidden:
    """The refusal of a call for want of a scope."""
    return Forbidden(
        f"{what}: it lacks the scope {scope!r}.",
        code="INSUFFICIENT_SCOPE",
        hint="Use a credential with that scope; a connected app asks its person for it by signing in again.",
        details={"scope": scope},
    )
