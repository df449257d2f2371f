"""The people of the demo: they read their inbox over the gateway and decide, each with a key of their own.

Scripted so that every path is walked: one draft is edited before it goes out, one is rejected, one contract is edited by a
person who therefore may not approve it; everything else is approved by as many different people as the gate asks for.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4

import httpx

from spine.errors import ProviderUnavailable

MESSAGE, CONTRACT = "send_email", "send_contract_for_signature"
EDITS_MESSAGE, REJECTS_MESSAGE = 1, 2  # by order of first appearance among the first messages to leads
EDITS_CONTRACT = 0
EDITOR = "dina.coo"
APPROVERS = ("basma.sales-manager", "dina.coo", "chidi.legal")
SIGNERS = ("chidi.legal", "emre.ceo", "dina.coo")  # of contracts: executives, and legal has to be among them


class _Said(NamedTuple):
    person: str
    verdict: str
    reason: str
    payload: Mapping[str, Any] | None = None


@dataclass(slots=True)
class People:
    gateway: str
    keys: Mapping[str, str]
    client: httpx.Client
    verdicts: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    _seen: dict[str, list[str]] = field(default_factory=lambda: {MESSAGE: [], CONTRACT: []})
    _handled: set[str] = field(default_factory=set)
    _replied: int = 0

    def work_through_inbox(self) -> int:
        """Decide everything that is pending now, several people at a time. Returns how many decisions were taken."""
        fresh = [pending["approval_id"] for pending in self._inbox() if pending["approval_id"] not in self._handled]
        self._handled.update(fresh)
        wanted = []
        for approval_id in fresh:  # in the inbox's order: who is edited and who is rejected goes by that
            approval = self._get(f"/v1/approvals/{approval_id}")
            wanted.append((approval, self._verdicts_on(approval)))
        with ThreadPoolExecutor(max_workers=len(APPROVERS)) as pool:
            told = [answer for answers in pool.map(lambda one: [self._say(one[0], say) for say in one[1]], wanted) for answer in answers]
        self.verdicts.update(verdict for verdict, refusal in told if not refusal)
        self.refused += [refusal for _, refusal in told if refusal]
        return sum(not refusal for _, refusal in told)

    def _inbox(self) -> Iterator[Mapping[str, Any]]:
        """Every page of it."""
        following: dict[str, str] | None = {}
        while following is not None:
            page = self._get("/v1/approvals", state="pending", limit="200", **following)
            yield from page["items"]
            following = {"cursor": page["next"]} if page["next"] else None

    def answer(self, lead_id: str, contact_id: str) -> None:
        """A lead writes back: the mail system tells the gateway, as it would tell any other listener."""
        self._replied += 1
        body = {
            "type": "outreach.replied",
            "data": {"lead_id": lead_id, "contact_id": contact_id, "channel": "email", "message_ref": f"inbound-{self._replied}"},
        }
        self._post("/v1/events", body, person="ana.operator")

    def _verdicts_on(self, approval: Mapping[str, Any]) -> Sequence["_Said"]:
        action = approval["action"]
        place = self._place_of(approval)
        if action == MESSAGE and place == REJECTS_MESSAGE:
            return [_Said(APPROVERS[0], "reject", "the account asked us to wait until next quarter")]
        if action == MESSAGE and place == EDITS_MESSAGE:
            edited = {**approval["payload"], "subject": f"{approval['payload']['subject']} (as discussed)"}
            return [_Said(APPROVERS[0], "edit", "refer to our call", edited)]
        if action == CONTRACT and place == EDITS_CONTRACT:
            edited = {**approval["payload"], "terms": f"{approval['payload']['terms']}\nPayment within 30 days."}
            return [_Said(EDITOR, "edit", "payment terms were missing", edited)]
        # From A2 up an editor is the requester of the new revision, and others must approve it.
        people = [person for person in (SIGNERS if action == CONTRACT else APPROVERS) if person != approval["requested_by"]]
        return [_Said(person, "approve", "as proposed") for person in people[: approval["approvers_needed"]]]

    def _place_of(self, approval: Mapping[str, Any]) -> int:
        """Order of first appearance of this approval's key; -1 for anything but the first revision of a first message or contract."""
        seen = self._seen.get(approval["action"])
        if seen is None or approval["revision"] != 1 or approval["correlation_id"] in seen:
            return -1
        seen.append(approval["correlation_id"])
        return len(seen) - 1

    def _say(self, approval: Mapping[str, Any], said: "_Said") -> tuple[str, str]:
        """The verdict, and why it was refused; "" when it was taken."""
        body = {"verdict": said.verdict, "reason": said.reason, "digest": approval["digest"]}
        if said.payload is not None:
            body["payload"] = said.payload
        answer = self._post(f"/v1/approvals/{approval['approval_id']}/decisions", body, person=said.person)
        if answer.is_success:
            return said.verdict, ""
        return said.verdict, f"{said.person} {said.verdict} {approval['action']}: {answer.json().get('detail', answer.text)}"

    def _get(self, path: str, **query: str) -> Any:
        return self._sent("GET", path, person=APPROVERS[0], params=query).raise_for_status().json()

    def _post(self, path: str, body: Mapping[str, Any], *, person: str) -> httpx.Response:
        return self._sent("POST", path, person=person, json=body, headers={"Idempotency-Key": f'"{uuid4()}"'})

    def _sent(self, method: str, path: str, *, person: str, headers: Mapping[str, str] | None = None, **rest: Any) -> httpx.Response:
        try:
            bearer = {"Authorization": f"Bearer {self.keys[person]}", **(headers or {})}
            return self.client.request(method, f"{self.gateway}{path}", headers=bearer, timeout=15, **rest)
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"the gateway at {self.gateway} does not answer {method} {path}: {error}") from error
