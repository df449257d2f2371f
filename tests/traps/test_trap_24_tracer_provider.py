"""Temporal's OpenTelemetry plugin takes only its own replay-safe provider, and a provider can be set only once in a process.

So `setup_telemetry` makes that one, first; whoever comes second with another is told, instead of losing spans in silence.
"""

import subprocess
import sys

PROGRAM = """
import warnings; warnings.simplefilter("error")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from spine.errors import Misconfigured
from spine.settings import Settings
from spine.telemetry import setup_telemetry
"""


def run(body: str) -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM + body], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


WORKER = """
from temporalio.contrib.opentelemetry._otel_interceptor import OpenTelemetryInterceptor
from temporalio.worker import WorkflowInterceptorClassInput
try:
    OpenTelemetryInterceptor().workflow_interceptor_class(WorkflowInterceptorClassInput(unsafe_extern_functions={}))
    print("accepted")
except ValueError:
    print("refused")
"""


def test_a_worker_accepts_the_provider_that_we_set() -> None:
    assert run("setup_telemetry('worker', Settings())\n" + WORKER) == "accepted"


def test_a_worker_refuses_an_ordinary_provider() -> None:
    said = run("trace.set_tracer_provider(TracerProvider())\n" + WORKER)
    assert said == "refused", "the plugin takes any provider now: setup_telemetry may use the SDK's own"


def test_a_second_provider_is_refused_by_name_and_not_ignored() -> None:
    body = """
trace.set_tracer_provider(TracerProvider())
try:
    setup_telemetry('worker', Settings())
except Misconfigured as error:
    print(error)
"""
    assert "TracerProvider is this process's tracer provider already" in run(body)
