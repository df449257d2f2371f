"""A process that asks a model within the graph and, told to, dies by kill -9 in the middle of the second question.

python -m tests.graphs.dying <checkpoints url> <file where each question is noted> <die|live>
"""

import os
import signal
import sys

from langchain_core.outputs import ChatResult

from orchestration.graphs import GraphRunner
from orchestration.graphs.models import Model, flat_price
from spine.settings import Settings
from spine.storage import Checkpointer
from spine.testing.models import ScriptedChatModel
from tests.graphs.world import BUDGET, DRAFTED, SCORED, qualify

url, ledger, fate = sys.argv[1:]


class Dying(ScriptedChatModel):
    def _generate(self, messages, *args, **kwargs) -> ChatResult:
        question = "write" if "e-mail" in messages[0].text else "score"
        with open(ledger, "a") as file:
            file.write(f"{question}\n")
        if question == "write" and fate == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._generate(messages, *args, **kwargs)


chat = Dying([SCORED, DRAFTED] if fate == "die" else [DRAFTED])
model = Model(name="test:scripted", price=flat_price("10/20"), make=lambda _limits: chat)
with Checkpointer(url) as checkpointer:
    proposal = qualify(runner=GraphRunner(Settings(), checkpointer.saver, model, budget=BUDGET))
    sys.stdout.write(proposal.model_dump_json())
