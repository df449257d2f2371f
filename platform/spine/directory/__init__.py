"""The approver directory: which person signs in which function, who stands in, and whether anybody can sign at all.

A rule of the policy table names functions, never people. An entry here gives no way in: whoever signs also needs a credential of role
approver. The rules: people are distinct, whatever functions they hold; one person with two functions is one person, who fills both
where a request must include both; whoever asked signs in nobody's name, and nobody signs in his; an absent person does not sign, the
delegate does, on record as on behalf of.
"""

from spine.directory.eligibility import (
    functions_missing,
    is_known,
    lacks_authority,
    requesters_of,
    signs_as,
    someone_can_decide,
    who_can_sign,
)
from spine.directory.records import FUNCTIONS, Approver, Capacity, Signer, Signers, covers
from spine.directory.store import add, listing, put_development_people, remove, set_absence, set_delegate

__all__ = [
    "FUNCTIONS",
    "Approver",
    "Capacity",
    "Signer",
    "Signers",
    "add",
    "covers",
    "functions_missing",
    "is_known",
    "lacks_authority",
    "listing",
    "put_development_people",
    "remove",
    "requesters_of",
    "set_absence",
    "set_delegate",
    "signs_as",
    "someone_can_decide",
    "who_can_sign",
]
