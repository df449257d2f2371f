"""The people of the demo: they read their inbox over the gateway and decide, each with a key of their own.

Scripted so that every path is walked: one draft is edited before it goes out, one is rejected, one contract is edited by a
person who therefore may not approve it; everything else is approved by as many different people as the gate asks for.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from spine.errors import ProviderUnavailable

MESSAGE, CONTRACT = "send_email", "send_contract_for_signature"
EDITS_MESSAGE, REJECTS_MESSAGE = 1, 2  # by order of first appearance among the first messages to leads
EDITS_CONTRACT = 0
EDITOR = "dina.coo"
APPROVERS = ("basma.sales-manager", "dina.coo", "chidi.legal")
SIGNERS = ("chidi.legal", "emre.ceo", "dina.coo")  # of contracts: executives, and legal has to be among them


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
        """Decide everything that is pending now. Returns how many decisions were taken."""
        taken = 0
        for pending in list(self._inbox()):
            if pending["approval_id"] not in self._handled:
                self._handled.add(pending["approval_id"])
                taken += self._decide(self._get(f"/v1/approvals/{pending['approval_id']}"))
        return taken

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

    def _decide(self, approval: Mapping[str, Any]) -> int:
        action = approval["action"]
        place = self._place_of(approval)
        if action == MESSAGE and place == REJECTS_MESSAGE:
            return self._say(approval, APPROVERS[0], "reject", reason="the account asked us to wait until next quarter")
        if action == MESSAGE and place == EDITS_MESSAGE:
            edited = {**approval["payload"], "subject": f"{approval['payload']['subject']} (as discussed)"}
            return self._say(approval, APPROVERS[0], "edit", reason="refer to our call", payload=edited)
        if action == CONTRACT and place == EDITS_CONTRACT:
            edited = {**approval["payload"], "terms": f"{approval['payload']['terms']}\nPayment within 30 days."}
            return self._say(approval, EDITOR, "edit", reason="payment terms were missing", payload=edited)
        # From A2 up an editor is the requester of the new revision, and others must approve it.
        people = [person for person in (SIGNERS if action == CONTRACT else APPROVERS) if person != approval["requested_by"]]
        return sum(self._say(approval, person, "approve", reason="as proposed") for person in people[: approval["approvers_needed"]])

    def _place_of(self, approval: Mapping[str, Any]) -> int:
        """Order of first appearance of this approval's key; -1 for anything but the first revision of a first message or contract."""
        seen = self._seen.get(approval["action"])
        if seen is None or approval["revision"] != 1 or approval["correlation_id"] in seen:
            return -1
        seen.append(approval["correlation_id"])
        return len(seen) - 1

    def _say(self, approval: Mapping[str, Any], person: str, verdict: str, *, reason: str, payload: object = None) -> int:
        body = {"verdict": verdict, "reason": reason, "digest": approval["digest"]}
        if payload is not None:
            body["payload"] = payload
        answer = self._post(f"/v1/approvals/{approval['approval_id']}/decisions", body, person=person)
        if answer.is_success:
            self.verdicts[verdict] += 1
            return 1
        self.refused.append(f"{person} {verdict} {approval['action']}: {answer.json().get('detail', answer.text)}")
        return 0

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
