"""Budgets, prices, and a model behind a real HTTP endpoint."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from orchestration.graphs import Outcome
from orchestration.graphs.lead_qualification.prompts import ScoreAnswer
from orchestration.graphs.models import Limits, Meter, Model, Spent, UnparsableAnswer, ask, flat_price, listed_price
from spine.errors import BudgetExceeded, Misconfigured, ProviderRefused, ProviderUnavailable
from spine.registry import Budget
from spine.settings import Settings
from spine.telemetry import setup_telemetry
from tests.graphs.world import BUDGET, DRAFTED, SCORED, qualify, scripted

LIMITS = Limits(temperature=0.1, max_tokens=256, timeout=timedelta(seconds=2))


@dataclass
class Endpoint:
    """Speaks the OpenAI chat protocol from a script, and remembers what was asked."""

    script: list[Any]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    usage: bool = True
    finish: str = "stop"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    served = Endpoint(script=[])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            served.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            served.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = served.script.pop(0)
            status, body = (answer, {"error": {"message": "no"}}) if isinstance(answer, int) else (200, self.completion(answer))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def completion(self, answer: Any) -> dict[str, Any]:
            message = {"role": "assistant", "content": answer if isinstance(answer, str) else json.dumps(answer), "refusal": None}
            usage = {"prompt_tokens": 400, "completion_tokens": 60, "total_tokens": 460}
            choice = {"index": 0, "message": message, "finish_reason": served.finish, "logprobs": None}
            whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": "small", "choices": [choice]}
            return {**whole, "usage": usage} if served.usage else whole

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def settings(endpoint: Endpoint, **more: Any) -> Settings:
    values = {"model": "openai:small", "model_base_url": endpoint.url, "model_api_key": SecretStr("sk-test-123456"), "model_price": "1/2"}
    return Settings(**{**values, **more})


def asked(endpoint: Endpoint, meter: Meter | None = None) -> ScoreAnswer:
    model = Model.from_settings(settings(endpoint))
    assert model is not None
    return ask(model, meter or Meter(BUDGET), system="judge", human="record", answer=ScoreAnswer, limits=LIMITS)


def test_any_openai_compatible_endpoint_answers_by_schema_and_is_metered(endpoint: Endpoint) -> None:
    endpoint.script = [SCORED]
    meter = Meter(BUDGET)
    assert asked(endpoint, meter).score == 72
    (request,) = endpoint.requests
    assert request["model"] == "small"
    assert request["temperature"] == 0.1
    assert request["max_completion_tokens"] == 256
    assert request["response_format"]["type"] == "json_schema"
    assert set(request["response_format"]["json_schema"]["schema"]["properties"]) == {"score", "confidence", "reasons"}
    assert endpoint.headers[0]["authorization"] == "Bearer sk-test-123456"
    assert meter.spent == Spent(tokens=460, cost=Decimal("0.00052"))


def test_the_whole_graph_runs_on_a_configured_endpoint(endpoint: Endpoint) -> None:
    endpoint.script = [SCORED, DRAFTED]
    proposal = qualify(Model.from_settings(settings(endpoint)))
    assert proposal.outcome is Outcome.PROPOSED
    assert (proposal.used, proposal.tokens, proposal.cost) == ("openai:small", 920, Decimal("0.00104"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [(500, ProviderUnavailable), (429, ProviderUnavailable), (401, ProviderRefused), (404, ProviderRefused), ("no json", UnparsableAnswer)],
)
def test_what_goes_wrong_is_said_in_our_terms_without_a_second_call(endpoint: Endpoint, answer: int | str, error: type[Exception]) -> None:
    endpoint.script = [answer]
    with pytest.raises(error) as raised:
        asked(endpoint)
    assert "sk-test" not in str(raised.value)
    assert len(endpoint.requests) == 1


def test_an_answer_cut_off_by_its_length_is_no_answer(endpoint: Endpoint) -> None:
    endpoint.script, endpoint.finish = ['{"score": 7'], "length"
    with pytest.raises(UnparsableAnswer):
        asked(endpoint)


def test_an_endpoint_that_is_not_there_is_worth_another_try() -> None:
    nowhere = Endpoint(script=[], url="http://127.0.0.1:9/v1")
    with pytest.raises(ProviderUnavailable, match="was not reached"):
        asked(nowhere)


def test_a_call_whose_usage_is_not_told_counts_in_full(endpoint: Endpoint) -> None:
    endpoint.script, endpoint.usage = [SCORED], False
    meter = Meter(BUDGET)
    asked(endpoint, meter)
    assert meter.spent.tokens > 256


def test_traces_name_the_model_and_its_cost_and_not_what_was_said() -> None:
    exporter = InMemorySpanExporter()
    setup_telemetry("tests", Settings()).add_span_processor(SimpleSpanProcessor(exporter))
    model, _ = scripted({"score": 72, "confidence": 0.8, "reasons": ["a secret reason"]})
    ask(model, Meter(BUDGET), system="judge", human="Cancity is a company", answer=ScoreAnswer, limits=LIMITS)
    (call,) = exporter.get_finished_spans()
    exporter.shutdown()
    assert call.name == "chat scripted"
    assert dict(call.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "test",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.temperature": 0.1,
        "gen_ai.request.max_tokens": 256,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "spine.cost.usd": 0.002,
    }
    assert "secret" not in call.to_json()
    assert "Cancity" not in call.to_json()


@pytest.mark.parametrize("budget", [Budget(tokens=999, money=Decimal(1)), Budget(tokens=10_000, money=Decimal("0.000999"))])
def test_tokens_and_money_each_stop_a_call_before_it_is_made(budget: Budget) -> None:
    meter = Meter(budget)
    with pytest.raises(BudgetExceeded), meter.reserve(1000, Decimal("0.001")):
        pytest.fail("the call would have been made")
    assert meter.spent == Spent()


def test_what_is_reserved_by_one_call_is_not_there_for_another() -> None:
    meter = Meter(Budget(tokens=1500, money=Decimal(1)))
    with meter.reserve(1000, Decimal(0)) as first:
        with pytest.raises(BudgetExceeded), meter.reserve(1000, Decimal(0)):
            pytest.fail("two calls at once would pass the limit")
        first.settle(200, Decimal(0))
    with meter.reserve(1000, Decimal(0)):
        pass
    assert meter.spent.tokens == 1200


def test_without_a_model_there_is_none_and_graphs_run_on_baselines() -> None:
    assert Model.from_settings(Settings()) is None
    assert qualify().used == "baseline"


def test_list_prices_are_known_offline_and_an_unknown_model_is_refused() -> None:
    assert listed_price("openai:gpt-4o")(1_000_000, 1_000_000) == Decimal("12.5")
    with pytest.raises(Misconfigured, match="SPINE_MODEL_PRICE"):
        listed_price("openai:nonesuch-9")
    with pytest.raises(Misconfigured, match="does not name its provider"):
        Model.from_settings(Settings(model="gpt-4o"))


@pytest.mark.parametrize("text", ["", "1", "1/2/3", "a/b", "-1/2", "nan/1"])
def test_a_price_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="SPINE_MODEL_PRICE"):
        flat_price(text)
