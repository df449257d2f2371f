"""Identities and secrets, found in text and replaced by typed marks: the net under the rule that they travel by reference.

`redact("write to sara@acme.example")` is `"write to [email]"`. Marks: `[email]`, `[phone]`, `[iban]`, `[card]`, `[national-id]`,
`[cr-number]`, `[secret]`. Deterministic, without I/O. What identifies *records* stays: UUIDs, digests, trace contexts, times, dates,
money, versions, message ids of the form `<hex@host>`, workflow ids, references.

Numbers are judged by kept libraries (`phonenumbers`, `python-stdnum`), not by their length. Limits, on purpose:

- Names of people and postal addresses pass: no rule tells them from other words.
- A number glued to letters (`L0501234567`) is taken for an id. So is what `redacted` finds under a name such as `lead_id` or
  `digest`, where only addresses and secrets are looked for.
- Integers in JSON pass: amounts in minor units are among them. A typed event has no integer that could be an identity.
- Any ten digits that begin with 1 or 2 and pass the check digit are a Saudi identity; one in ten such numbers passes by chance.
- A commercial registration has no check digit, so it counts only behind words that announce it (CR, C.R., سجل تجاري, …).

Light to import: the libraries come in with the first number that needs judging, or with `warm`. Clean short text costs about
one microsecond, see benchmarks/redaction.py.
"""

from spine.redact.detect import Finding, findings, warm
from spine.redact.replace import redact, redact_reference, redacted

__all__ = ["Finding", "findings", "redact", "redact_reference", "redacted", "warm"]
