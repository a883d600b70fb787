"""Whatever is sent, the server answers in the shapes of its own OpenAPI, and never with a 5xx."""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.server import ServerProcess

METHODS = ("GET", "POST", "PUT", "DELETE")
OPERATIONS = [
    ("POST", "/api/v1/batches"),
    ("GET", "/api/v1/batches"),
    ("GET", "/api/v1/batches/{batch_id}"),
    ("GET", "/api/v1/batches/{batch_id}/files"),
    ("GET", "/api/v1/files"),
    ("GET", "/api/v1/files/{file_id}"),
    ("DELETE", "/api/v1/files/{file_id}"),
    ("POST", "/api/v1/upload/cancel/{file_id}"),
    ("POST", "/api/v1/batch/cancel/{batch_id}"),
    ("GET", "/healthz"),
]
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    """One client for all examples."""
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=10) as client:
        yield client


def test_every_operation_is_fuzzed(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(
        OPERATIONS
    )


@pytest.mark.parametrize("method,path", OPERATIONS)
def test_the_json_api_keeps_to_its_schema(
    server: ServerProcess, http: httpx.Client, method: str, path: str
) -> None:
    schema = schemathesis.openapi.from_dict(http.get("/openapi.json").json())
    schema.config.update(base_url=server.url)

    @QUICK
    @given(case=schema[path][method].as_strategy())
    def fuzz(case: schemathesis.Case) -> None:
        case.call_and_validate(
            headers=server.headers,
            checks=[
                not_a_server_error,
                status_code_conformance,
                content_type_conformance,
                response_schema_conformance,
            ],
        )

    fuzz()


VISIBLE = string.ascii_letters + string.digits + string.punctuation + " "
header_values = st.one_of(
    st.text(VISIBLE, max_size=40),
    st.integers(-2, 2**70).map(str),
    st.binary(max_size=40).map(lambda raw: "filename " + base64.b64encode(raw).decode()),
    st.tuples(st.text(max_size=20), st.text(max_size=20)).map(
        lambda names: ",".join(
            f"{key} {base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}"
            for key, value in zip(("filename", "relative_path"), names, strict=True)
        )
    ),
)
tus_headers = st.dictionaries(
    st.sampled_from(
        [
            "Upload-Length",
            "Upload-Offset",
            "Upload-Metadata",
            "Upload-Checksum",
            "Upload-SHA256",
            "Idempotency-Key",
            "Upload-Defer-Length",
            "X-HTTP-Method-Override",
        ]
    ),
    header_values.map(str.strip),
)


@settings(QUICK, max_examples=300)
@given(
    method=st.sampled_from(["POST", "PATCH", "HEAD", "DELETE", "OPTIONS", "GET"]),
    path=st.text(max_size=10).map(lambda text: "/files/" + quote(text, safe="")) | st.just("/files"),
    headers=tus_headers,
    content=st.binary(max_size=50),
    has_type=st.booleans(),
    length=st.integers(0, 60),
)
def test_tus_never_fails_whatever_it_is_told(
    http: httpx.Client,
    method: str,
    path: str,
    headers: dict[str, str],
    content: bytes,
    has_type: bool,
    length: int,
) -> None:
    sent = {"Tus-Resumable": "1.0.0", "Upload-Length": str(length), "Upload-Offset": "0"} | headers
    if has_type:
        sent["Content-Type"] = "application/offset+octet-stream"
    answer = http.request(method, path, headers=sent, content=content)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and method != "HEAD":
        assert {"detail", "code"} <= set(answer.json())
