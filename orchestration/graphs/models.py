"""Chat models: made from settings, called within a budget, and answering by a schema or not at all.

Prompts and answers are not recorded in traces; token counts, prices and names are.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from opentelemetry.trace import Span, SpanKind
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spine.errors import BudgetExceeded, Misconfigured, ProviderRefused, ProviderUnavailable, SpineError
from spine.redact import redact
from spine.registry import Budget
from spine.settings import Settings
from spine.telemetry import span

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

Answer = TypeVar("Answer", bound=BaseModel)

_MILLION = Decimal(1_000_000)


class UnparsableAnswer(SpineError):
    """The model answered with something else than was asked for. Whoever asked escalates, and guesses nothing."""

    code = "unparsable-answer"
    http_status = 502


class Spent(BaseModel):
    """Tokens and USD used up so far."""

    model_config = ConfigDict(frozen=True)

    tokens: int = Field(default=0, ge=0)
    cost: Decimal = Field(default=Decimal(0), ge=0)


class Books(Protocol):
    """Where a run's budget is kept beyond this process (`spine.budgets.RunBooks`)."""

    def reserve(self, purpose: str, tokens: int, cost: Decimal) -> UUID:
        """Raises BudgetExceeded."""
        ...

    def settle(self, reservation_id: UUID, tokens: int, cost: Decimal) -> None: ...


class Meter:
    """One step's budget, and with `books` that of the run, the automation and the tenant too. Thread-safe.

    Reserve before a call, settle after it; what is never settled counts as used in full: nobody knows what a call cost that was not
    answered. Only a provider that refused did nothing for its money. Without books, what a process spent on a call that it did not
    live to checkpoint is not known to the next one; with them it stays reserved.
    """

    def __init__(self, budget: Budget, spent: Spent | None = None, *, books: Books | None = None, purpose: str = "model") -> None:
        self._budget = budget
        self._spent = spent or Spent()
        self._books = books
        self._purpose = purpose
        self._lock = Lock()

    @property
    def spent(self) -> Spent:
        return self._spent

    @contextmanager
    def reserve(self, tokens: int, cost: Decimal) -> Iterator["Reservation"]:
        """Hold the most that a call can take while it runs. Raises BudgetExceeded before the call if that is not left."""
        self._add(tokens, cost)
        try:
            held = None if self._books is None else self._books.reserve(self._purpose, tokens, cost)
        except BaseException:
            self._add(-tokens, -cost, checked=False)
            raise
        reservation = Reservation(tokens=tokens, cost=cost)
        try:
            yield reservation
        except ProviderRefused:
            if held is not None and not reservation.is_settled and self._books is not None:
                self._books.settle(held, 0, Decimal(0))
            raise
        finally:
            self._add(reservation.tokens - tokens, reservation.cost - cost, checked=False)
            if held is not None and reservation.is_settled and self._books is not None:
                self._books.settle(held, reservation.tokens, reservation.cost)

    def _add(self, tokens: int, cost: Decimal, *, checked: bool = True) -> None:
        with self._lock:
            after = Spent(tokens=self._spent.tokens + tokens, cost=self._spent.cost + cost)
            if checked and (after.tokens > self._budget.tokens or after.cost > self._budget.money):
                spent, limit = self._spent, self._budget
                raise BudgetExceeded(
                    f"a call of up to {tokens} tokens and {cost:.4f} USD does not fit: "
                    f"{spent.tokens} of {limit.tokens} tokens and {spent.cost:.4f} of {limit.money} USD are spent"
                )
            self._spent = after


@dataclass(slots=True, kw_only=True)
class Reservation:
    tokens: int
    cost: Decimal
    is_settled: bool = False

    def settle(self, tokens: int, cost: Decimal) -> None:
        self.tokens, self.cost, self.is_settled = tokens, cost, True


class Price(Protocol):
    def __call__(self, input_tokens: int, output_tokens: int) -> Decimal:
        """USD for one call of that size."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How a call is made: part of a graph's definition, like its prompt."""

    temperature: float
    max_tokens: int
    timeout: timedelta


class MakeChat(Protocol):
    def __call__(self, limits: Limits) -> "BaseChatModel": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A chat model and what it costs. `name` is `provider:model`, as `init_chat_model` takes it."""

    name: str
    price: Price
    make: MakeChat
    is_private: bool = False
    """Runs under our own roof: prompts go to it as they are. To every other one they go redacted."""

    @classmethod
    def from_settings(cls, settings: Settings) -> "Model | None":
        """The configured model; None when none is, and graphs run on their baselines.

        Raises Misconfigured for a model without a provider or without a known price: a budget in money cannot be kept then.
        """
        if not settings.model:
            return None
        provider, separator, _ = settings.model.partition(":")
        if not separator:
            raise Misconfigured(f"SPINE_MODEL={settings.model!r} does not name its provider: write 'provider:model', such as openai:gpt-4o")
        price = flat_price(settings.model_price) if settings.model_price else listed_price(settings.model)
        name, base_url, key = settings.model, settings.model_base_url, settings.model_api_key

        def make(limits: Limits) -> "BaseChatModel":
            from langchain.chat_models import init_chat_model

            options: dict[str, Any] = {"temperature": limits.temperature, "max_tokens": limits.max_tokens}
            options["timeout"] = limits.timeout.total_seconds()
            options["max_retries"] = 0  # retries are Temporal's; a hidden second call would escape the budget
            if base_url:
                options["base_url"] = base_url
            if key:
                options["api_key"] = key.get_secret_value()
            try:
                chat: BaseChatModel = init_chat_model(name, **options)
            except (ImportError, ValueError) as error:
                raise Misconfigured(f"SPINE_MODEL={name!r}: provider {provider!r} cannot be used: {error}") from error
            return chat

        return cls(name=name, price=price, make=make, is_private=settings.model_is_private)


def listed_price(name: str) -> Price:
    """The list price of `provider:model`, from the tables that genai-prices ships. Raises Misconfigured for an unknown model."""
    from genai_prices import Usage, calc_price

    provider, _, model = name.partition(":")

    def price(input_tokens: int, output_tokens: int) -> Decimal:
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        return calc_price(usage, model_ref=model, provider_id=provider).total_price

    try:
        price(1, 1)
    except LookupError as error:
        cure = "set SPINE_MODEL_PRICE to its USD a million tokens, INPUT/OUTPUT (0/0 for one of your own)"
        raise Misconfigured(f"no price is known for model {name!r}, so no budget could stop it: {cure}") from error
    return price


def flat_price(text: str) -> Price:
    """`INPUT/OUTPUT`, in USD a million tokens. Raises Misconfigured for anything else."""
    try:
        into, out = (Decimal(part) for part in text.split("/"))
        ordinary = into.is_finite() and out.is_finite() and min(into, out) >= 0
    except (ValueError, InvalidOperation):
        ordinary = False
    if not ordinary:
        raise Misconfigured(f"SPINE_MODEL_PRICE={text!r} is not INPUT/OUTPUT in USD a million tokens, such as 0.15/0.60")
    return lambda input_tokens, output_tokens: (into * input_tokens + out * output_tokens) / _MILLION


def ask(model: Model, meter: Meter, *, system: str, human: str, answer: type[Answer], limits: Limits) -> Answer:
    """One call, one answer of type `answer`.

    What identifies a person, and every secret, is redacted before it leaves for an endpoint that is not private (SPINE_MODEL_IS_PRIVATE).
    Raises BudgetExceeded before the call, UnparsableAnswer after it, ProviderUnavailable or ProviderRefused in between.
    """
    if not model.is_private:
        system, human = redact(system), redact(human)
    schema = answer.model_json_schema()
    # No tokenizer makes more tokens than there are bytes, and asking the model's own would need its vocabulary from the network.
    at_most = sum(len(text.encode()) for text in (system, human, json.dumps(schema))) + 64
    with (
        meter.reserve(at_most + limits.max_tokens, model.price(at_most, limits.max_tokens)) as reservation,
        _call_span(model, limits) as call,
    ):
        chat = model.make(limits).with_structured_output(schema, method="json_schema", include_raw=True)
        reply = _invoke(chat, [("system", system), ("human", human)], model.name)
        raw: AIMessage = reply["raw"]
        if raw.usage_metadata:
            used_in, used_out = raw.usage_metadata["input_tokens"], raw.usage_metadata["output_tokens"]
            cost = model.price(used_in, used_out)
            reservation.settle(used_in + used_out, cost)
            call.set_attributes(
                {"gen_ai.usage.input_tokens": used_in, "gen_ai.usage.output_tokens": used_out, "spine.cost.usd": float(cost)}
            )
        try:
            return answer.model_validate(reply["parsed"])
        except ValidationError as error:
            wrong = ", ".join(sorted({".".join(map(str, part["loc"])) or "the whole answer" for part in error.errors()}))
            raise UnparsableAnswer(f"{model.name!r} did not answer as {answer.__name__}: {wrong}") from None


def _invoke(chat: Any, messages: list[tuple[str, str]], name: str) -> dict[str, Any]:
    try:
        reply: dict[str, Any] = chat.invoke(messages)
    except Exception as error:
        if (ours := _in_our_terms(error, name)) is None:
            raise
        raise ours from None  # providers quote the request in their messages, and the chain would carry it into logs
    return reply


def _in_our_terms(error: Exception, name: str) -> SpineError | None:
    """Providers share no exception tree; nearly all carry an HTTP status, or name the connection in their class."""
    kind, status = type(error).__name__, getattr(error, "status_code", None)
    if kind.endswith("FinishReasonError"):
        return UnparsableAnswer(f"{name!r} stopped before its answer was whole ({kind})")
    if isinstance(status, int):
        if status in (408, 409, 425, 429) or status >= 500:
            return ProviderUnavailable(f"model {name!r} answered HTTP {status}; asking again may help")
        return ProviderRefused(f"model {name!r} answered HTTP {status}: look at SPINE_MODEL, SPINE_MODEL_BASE_URL and SPINE_MODEL_API_KEY")
    if isinstance(error, ConnectionError | TimeoutError) or any(word in kind for word in ("Connection", "Connect", "Timeout", "ReadError")):
        return ProviderUnavailable(f"model {name!r} was not reached ({kind})")
    return None


@contextmanager
def _call_span(model: Model, limits: Limits) -> Iterator[Span]:
    provider, _, short = model.name.partition(":")
    with span(f"chat {short or provider}", kind=SpanKind.CLIENT) as opened:
        opened.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": short or provider,
                "gen_ai.request.temperature": limits.temperature,
                "gen_ai.request.max_tokens": limits.max_tokens,
            }
        )
        yield opened
