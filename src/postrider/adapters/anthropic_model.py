"""Implements ReplyModel with Anthropic's Messages API, over the one way out by HTTP."""

import asyncio
from typing import TYPE_CHECKING, Final

from postrider.adapters.http import HttpClient, HttpRequest
from postrider.agents.ports import Completion, Prompt, ReplyModel, Turn
from postrider.kernel.errors import Upstream
from postrider.settings import Settings

if TYPE_CHECKING:
    import anthropic
    import httpx2
    from anthropic.types import Message, MessageParam

BASE_URL: Final = "https://api.anthropic.com"
TIMEOUT_SECONDS: Final = 60.0
RETRIES: Final = 1
MAX_ANSWER_BYTES: Final = 1_000_000
_MEND: Final = "Check POSTRIDER_ANTHROPIC_API_KEY, POSTRIDER_AI_MODEL and POSTRIDER_AI_BASE_URL of the server."
_LATER: Final = "Call again later, or write the reply yourself and pass it to send_reply."


class AnthropicModel:
    """One model of one account. The library behind it is imported with the first call: it takes seconds."""

    def __init__(
        self,
        api_key: str,
        model: str,
        http: HttpClient,
        *,
        base_url: str = BASE_URL,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
    ) -> None:
        self._api_key = api_key
        self._model = model
        self._http = http
        self._base_url = base_url
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._client: anthropic.AsyncAnthropic | None = None

    async def complete(self, prompt: Prompt) -> Completion:
        """See ReplyModel.complete. All tries together end within twice the timeout."""
        if self._client is None:
            # The import runs in a thread, so that the doors answer meanwhile.
            self._client = await asyncio.to_thread(self._open)
        try:
            async with asyncio.timeout(2 * self._timeout_seconds):
                message = await self._client.messages.create(
                    model=self._model,
                    system=prompt.system,
                    messages=[_message(turn) for turn in prompt.turns],
                    max_tokens=prompt.max_tokens,
                )
        except Exception as error:
            raise _for_caller(error) from None
        return _completion(message)

    def _open(self) -> "anthropic.AsyncAnthropic":
        import anthropic

        return anthropic.AsyncAnthropic(
            api_key=self._api_key,
            base_url=self._base_url,
            timeout=self._timeout_seconds,
            max_retries=self._retries,
            http_client=anthropic.DefaultAsyncHttpxClient(
                transport=_bridge(self._http, self._timeout_seconds), follow_redirects=False, trust_env=False
            ),
        )


def _message(turn: Turn) -> "MessageParam":
    if turn.role == "user":
        return {"role": "user", "content": turn.text}
    return {"role": "assistant", "content": turn.text}


def reply_model(settings: Settings, http: HttpClient) -> ReplyModel | None:
    """The model that ``settings`` name, or None without a key: then agents give a brief instead of a draft."""
    if settings.anthropic_api_key is None:
        return None
    return AnthropicModel(
        settings.anthropic_api_key,
        settings.ai_model,
        http,
        base_url=settings.ai_base_url or BASE_URL,
    )


def _completion(message: "Message") -> Completion:
    """Raises: Upstream when the answer lacks what every answer has; the library does not look."""
    try:
        return Completion(
            text="".join(block.text for block in message.content if block.type == "text"),
            model=str(message.model),
            input_tokens=int(message.usage.input_tokens),
            output_tokens=int(message.usage.output_tokens),
        )
    except (AttributeError, TypeError, ValueError):
        raise _unreadable() from None


def _bridge(http: HttpClient, timeout_seconds: float) -> "httpx2.AsyncBaseTransport":
    """A transport for the library's own client that opens no connection but ours."""
    import httpx2

    class Bridge(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await http.send(
                HttpRequest(
                    method=request.method,
                    url=str(request.url),
                    headers=dict(request.headers),
                    body=await request.aread(),
                    timeout_seconds=timeout_seconds,
                    max_answer_bytes=MAX_ANSWER_BYTES,
                )
            )
            return httpx2.Response(answer.status, headers=dict(answer.headers), content=answer.body, request=request)

    return Bridge()


def _for_caller(error: Exception) -> Exception:
    """The same in our words: the provider's own could carry anything, the key included."""
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        return _refusal(error.status_code)
    if isinstance(error, TimeoutError | anthropic.APIConnectionError):
        cause = error.__cause__
        if isinstance(cause, Upstream):
            return (
                cause
                if cause.retryable
                else Upstream(cause.message, retryable=False, code=cause.error_code, hint=_MEND)
            )
        return Upstream("The model's server did not answer in time.", retryable=True, code="AI_TIMEOUT", hint=_LATER)
    if isinstance(error, anthropic.AnthropicError | ValueError):
        return _unreadable()
    return error


def _unreadable() -> Upstream:
    return Upstream("The model's server answered something unreadable.", retryable=True, code="AI_UNREADABLE")


def _refusal(status: int) -> Upstream:
    if status in (401, 403):
        return Upstream("The model's server refused the key.", retryable=False, code="AI_KEY_REFUSED", hint=_MEND)
    if status == 429:
        return Upstream("The model's server wants fewer requests.", retryable=True, code="AI_BUSY", hint=_LATER)
    if status >= 500 or status in (408, 409):
        return Upstream("The model's server has trouble.", retryable=True, code="AI_UNAVAILABLE", hint=_LATER)
    return Upstream(
        f"The model's server refused the request ({status}).", retryable=False, code="AI_REFUSED", hint=_MEND
    )
