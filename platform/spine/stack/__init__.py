"""The embedded services and their supervisor: everything `spine up` runs on one machine.

`Stack.start` is the whole of it as a context manager; `Options` says what may be chosen; `StackFailed` says which part did not
start, with the end of its log. The rest is private to this package and to the command line.
"""

from spine.stack.options import Options
from spine.stack.orphans import AlreadyRunning
from spine.stack.process import Change, StackFailed, State
from spine.stack.running import Stack, interruptible, run_stack

__all__ = ["AlreadyRunning", "Change", "Options", "Stack", "StackFailed", "State", "interruptible", "run_stack"]
