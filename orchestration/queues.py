"""Task queues, by name. A queue is in every schedule of a running workflow: rename one and its work waits for ever."""

COMMITMENTS = "commitments"
