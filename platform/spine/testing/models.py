"""A chat model that answers from a script and remembers what it was asked."""

import json
from collections.abc import Iterable
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import PrivateAttr
from typing_extensions import override

Answer = dict[str, Any] | str | Exception


class ScriptedChatModel(BaseChatModel):
    """Answers in the order of the script: a dictionary as JSON, text as it is, an exception by raising it.

    Structured output goes the way of the OpenAI model: text that is no JSON gives `parsed=None` with a `parsing_error`.
    `calls` holds the messages of each call. Raises AssertionError when it is asked more often than the script foresees.
    """

    input_tokens: int = 100
    output_tokens: int = 50
    _script: list[Answer] = PrivateAttr()
    _calls: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    def __init__(self, script: Iterable[Answer], **options: Any) -> None:
        super().__init__(**options)
        self._script = list(script)

    @property
    def calls(self) -> list[list[BaseMessage]]:
        return self._calls

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._calls.append(messages)
        assert len(self._calls) <= len(self._script), f"the script has {len(self._script)} answers, this is call {len(self._calls)}"
        answer = self._script[len(self._calls) - 1]
        if isinstance(answer, Exception):
            raise answer
        usage = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
        }
        content = answer if isinstance(answer, str) else json.dumps(answer)
        message = AIMessage(content=content, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])

    @override
    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        def parse(raw: AIMessage) -> Any:
            try:
                parsed, failure = json.loads(raw.text), None
            except ValueError as error:
                parsed, failure = None, error
            if not include_raw and failure is not None:
                raise failure
            return {"raw": raw, "parsed": parsed, "parsing_error": failure} if include_raw else parsed

        return self | RunnableLambda(parse)
