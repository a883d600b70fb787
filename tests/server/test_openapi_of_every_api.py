"""Whatever is sent to any operation of any API, by its own OpenAPI: never a 5xx. (Our own API: test_openapi.py, stricter.)"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from tests.support.server import ServerProcess

pytestmark = pytest.mark.timeout(300)
QUICK = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that lets anybody ask as often as they like, and must not stumble once."""
    with ServerProcess(tmp_path_factory.mktemp("fuzz"), "--rate-limits", "off") as running:
        yield running
        running.stop()
    assert "Traceback" not in running.log


def mounted(server: ServerProcess) -> list[str]:
    """Return the prefixes of the APIs beside our own, as the server's first page tells them."""
    told = httpx.get(server.url, headers={"Accept": "application/json"}).json()
    return [api["path"] for api in told["apis"] if "openapi" in api]


def test_no_operation_of_any_api_answers_5xx(server: ServerProcess) -> None:
    known = {"access_token": server.token, "accessToken": server.token}
    asked: dict[str, int] = {}
    for prefix in mounted(server):
        told = httpx.get(f"{server.url}{prefix}/openapi.json").json()
        schema = schemathesis.openapi.from_dict(told | {"servers": [{"url": server.url + prefix}]})
        schema.config.update(base_url=server.url + prefix)
        asked[prefix] = 0
        for found in schema.get_all_operations():
            operation = found.ok()

            @QUICK
            @given(case=operation.as_strategy())
            def fuzz(case: schemathesis.Case) -> None:
                answer = case.call(headers=server.headers, cookies=known)
                case.validate_response(answer, checks=[not_a_server_error])

            fuzz()
            asked[prefix] += 1
    assert len(asked) > 1
    assert min(asked.values()) > 5, asked
