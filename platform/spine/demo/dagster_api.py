"""The few questions the demo asks Dagster, over the same GraphQL that its UI uses."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from spine.errors import ProviderRefused, ProviderUnavailable

LOCATION = "data_jobs.definitions"

_LAUNCH = """
mutation($job: String!, $location: String!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {
    selector: {jobName: $job, repositoryName: "__repository__", repositoryLocationName: $location}
    executionMetadata: {tags: $tags}, runConfigData: {}
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
  }
}
"""
_STATUS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status stepStats { stepKey status } } } }"
_METADATA = """
query($run: ID!) { runOrError(runId: $run) { ... on Run { assetMaterializations {
  assetKey { path }
  metadataEntries {
    label
    ... on IntMetadataEntry { intValue }
    ... on FloatMetadataEntry { floatValue }
    ... on JsonMetadataEntry { jsonString }
  }
} } } }
"""
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DagsterApi:
    url: str
    client: httpx.Client

    def launch(self, job: str, *, tags: dict[str, str]) -> str:
        """Ask the webserver to launch `job`; the daemon's run queue takes it from there. Returns the run id."""
        given = [{"key": key, "value": value} for key, value in tags.items()]
        answer = self._ask(_LAUNCH, job=job, location=LOCATION, tags=given)["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise ProviderRefused(f"Dagster refused to launch {job!r}: {json.dumps(answer)}")
        return str(answer["run"]["runId"])

    def wait(self, run_id: str, *, progress: Callable[[str, int], None], timeout_seconds: float) -> str:
        """Follow a run to its end, telling `progress(status, steps done)` on the way. Returns the final status."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            run = self._ask(_STATUS, run=run_id)["runOrError"]
            progress(run["status"], sum(1 for step in run["stepStats"] if step["status"] == "SUCCESS"))
            if run["status"] in _ENDED or time.monotonic() > deadline:
                return str(run["status"])
            time.sleep(0.5)

    def metadata(self, run_id: str) -> dict[str, Any]:
        """label → value over all assets that the run materialized; numbers under the same label are summed over partitions."""
        values: dict[str, Any] = {}
        for materialization in self._ask(_METADATA, run=run_id)["runOrError"]["assetMaterializations"]:
            for entry in materialization["metadataEntries"]:
                value = entry.get("intValue", entry.get("floatValue"))
                if value is None and entry.get("jsonString"):
                    value = json.loads(entry["jsonString"])
                if value is not None:
                    asset = "/".join(materialization["assetKey"]["path"])
                    values[f"{asset}:{entry['label']}"] = value
        return values

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        try:
            answer = self.client.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=30)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"the Dagster webserver at {self.url} does not answer: {error}") from error
        body = answer.json()
        if body.get("errors"):
            raise ProviderRefused(f"Dagster did not accept the question: {body['errors'][0]['message']}")
        return dict(body["data"])
