from tests.data_jobs.conftest import Plane, checks_of, failure_of, keys, metadata_of


def test_the_main_job_accounts_for_every_row_and_publishes(plane: Plane) -> None:
    result = plane.run()
    assert result.success, failure_of(result)
    print(metadata_of(result, keys.SNAPSHOT), checks_of(result), metadata_of(result, keys.PUBLICATIONS))
    assert 0
