"""The way to a server: whose certificates are trusted, who we show ourselves to be, and which proxy is asked."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from websockets.asyncio.server import ServerConnection, serve

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote import tls
from app.remote.account import DIRECT_WAY, Account, Endpoint, Way
from app.remote.detect import detect
from app.remote.http import Http
from app.remote.websocket import open_socket
from tests.support.canned_server import Canned, CannedServer, json_answer
from tests.support.forward_proxy import ForwardProxy

HELLO = {("GET", "/hello"): json_answer('{"hello": "you"}')}


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return str(path)


def server_tls(ca: trustme.CA, *names: str, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*(names or ("127.0.0.1", "localhost", "server.test"))).configure_cert(context)
    if wants_client:
        ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        # With TLS 1.3 the refusal comes after the client's handshake, and asyncio's server hangs up before it is read.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


async def hello(url: str, way: Way = DIRECT_WAY) -> str | Failure:
    """Ask for /hello; return the answer, or the failure."""
    http = None
    try:
        http = Http(url, None, way=way)
        answer = await http.ask("GET", "/hello")
        if not answer.ok:
            raise http.failure(answer)
        return str(answer.json()["hello"])
    except TransferError as error:
        return without_secrets(error)
    finally:
        if http is not None:
            await http.aclose()


def without_secrets(error: TransferError) -> Failure:
    """Return the failure; what an exception drags along must not hold a password."""
    assert "s3cret" not in repr(error) + repr(error.__context__) + repr(error.__cause__)
    return error.failure


def kind(answer: str | Failure) -> FailureKind | str:
    return answer.kind if isinstance(answer, Failure) else answer


# Certificates


async def test_a_server_of_ones_own_ca_is_trusted_if_the_profile_says_so(
    ca: trustme.CA, ca_file: str
) -> None:
    async with CannedServer(HELLO, tls=server_tls(ca)) as server:
        answers = [await hello(server.url), await hello(server.url, Way(ca_file=ca_file))]
        assert [kind(each) for each in answers] == [FailureKind.TLS, "you"]


async def test_a_certificate_for_another_host_is_refused(ca: trustme.CA, ca_file: str) -> None:
    async with CannedServer(HELLO, tls=server_tls(ca, "elsewhere.test")) as server:
        answer = await hello(server.url, Way(ca_file=ca_file))
        assert (kind(answer), "not valid for '127.0.0.1'" in getattr(answer, "detail", "")) == (
            FailureKind.TLS,
            True,
        )


async def test_a_server_that_asks_who_we_are_sees_our_certificate(
    ca: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    me = ca.issue_cert("ada@example.org")
    me.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    me.private_key_pem.write_to_path(tmp_path / "me.key")
    me.cert_chain_pems[0].write_to_path(tmp_path / "me.pem")
    in_one = Way(ca_file, str(tmp_path / "both.pem"))
    in_two = Way(ca_file, str(tmp_path / "me.pem"), str(tmp_path / "me.key"))
    async with CannedServer(HELLO, tls=server_tls(ca, wants_client=True)) as server:
        answers = [await hello(server.url, way) for way in (Way(ca_file), in_one, in_two)]
        assert [kind(each) for each in answers] == [FailureKind.TLS, "you", "you"]


async def test_files_that_cannot_be_used_are_named(ca: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    junk, locked = tmp_path / "junk.pem", tmp_path / "locked.pem"
    junk.write_text("no certificate")
    me = ca.issue_cert("ada@example.org")
    key = serialization.load_pem_private_key(me.private_key_pem.bytes(), None)
    hidden = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"s3cret"),
    )
    locked.write_bytes(me.cert_chain_pems[0].bytes() + hidden)
    ways = [
        Way(ca_file="/not/there.pem"),
        Way(ca_file=str(junk)),
        Way(ca_file, str(junk)),
        Way(ca_file, str(locked)),
    ]
    said = [getattr(await hello("https://127.0.0.1:9", way), "detail", "") for way in ways]
    unusable = "it is no certificate that can be used"
    assert said == [
        "/not/there.pem: No such file or directory",
        f"{junk}: {unusable}",
        f"{junk}: {unusable}",
        f"{locked}: {unusable}",
    ]


async def test_a_computer_that_trusts_nobody_is_said_in_words(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A bare container: OpenSSL's own places and those of the distributions are empty.
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setattr(tls, "_STORES", ())
    async with CannedServer(HELLO, tls=server_tls(ca)) as server:
        answer = await hello(server.url)
        assert answer == Failure(
            FailureKind.TLS,
            "this computer has no certificates to know servers by: install ca-certificates, or name a CA file",
        )


async def test_the_websocket_goes_by_the_same_certificates(ca: trustme.CA, ca_file: str) -> None:
    async with sockets(server_tls(ca)) as port:
        url = f"https://127.0.0.1:{port}"
        answers = [await echo(url), await echo(url, Way(ca_file=ca_file))]
        assert [kind(each) for each in answers] == [FailureKind.TLS, "hello"]


async def test_an_address_without_scheme_is_tried_with_tls_and_an_untrusted_server_not_without(
    ca: trustme.CA, ca_file: str
) -> None:
    answers = {("OPTIONS", "/files"): Canned(204, headers={"Tus-Version": "1.0.0"})}
    async with CannedServer(answers, tls=server_tls(ca)) as server:
        found = await detect(f"127.0.0.1:{server.port}", Way(ca_file=ca_file))
        with pytest.raises(TransferError) as caught:
            await detect(f"127.0.0.1:{server.port}")
        assert (found.url, caught.value.failure.kind) == (f"{server.url}/files", FailureKind.TLS)


async def test_an_http_address_that_sends_everybody_to_https_is_kept_as_https(
    ca: trustme.CA, ca_file: str
) -> None:
    answers = {("OPTIONS", "/files"): Canned(204, headers={"Tus-Version": "1.0.0"})}
    async with CannedServer(answers, tls=server_tls(ca)) as secure:
        moved = Canned(301, headers={"Location": f"{secure.url}/"})
        async with CannedServer({}, otherwise=moved) as plain:
            found = await detect(plain.url, Way(ca_file=ca_file))
            assert found.url == f"{secure.url}/files"


# Proxies


async def test_http_and_https_go_through_the_proxy_that_was_named(ca: trustme.CA, ca_file: str) -> None:
    async with (
        ForwardProxy() as proxy,
        CannedServer(HELLO) as plain,
        CannedServer(HELLO, tls=server_tls(ca)) as secure,
    ):
        way = Way(ca_file=ca_file, proxy=proxy.url)
        answers = [
            await hello(f"http://server.test:{plain.port}", way),
            await hello(f"https://server.test:{secure.port}", way),
        ]
        assert (answers, proxy.requests) == (
            ["you", "you"],
            [
                f"GET http://server.test:{plain.port}/hello HTTP/1.1",
                f"CONNECT server.test:{secure.port} HTTP/1.1",
            ],
        )


async def test_websockets_go_through_it_too(ca: trustme.CA, ca_file: str) -> None:
    async with ForwardProxy("ada:s3cret") as proxy, sockets() as plain, sockets(server_tls(ca)) as secure:
        address = proxy.url.replace("//", "//ada@")
        way = Way(ca_file=ca_file, proxy=address, proxy_password="s3cret")
        answers = [
            await echo(f"http://server.test:{plain}", way),
            await echo(f"https://server.test:{secure}", way),
            kind(await echo(f"http://server.test:{plain}", replace(way, proxy_password="wrong"))),
        ]
        assert (answers, len(proxy.requests), proxy.refused) == (
            ["hello", "hello", FailureKind.UNREACHABLE],
            2,
            1,
        )


async def test_a_proxy_that_wants_a_password_gets_the_one_of_the_profile(
    ca: trustme.CA, ca_file: str
) -> None:
    async with (
        ForwardProxy("ada:s3cret") as proxy,
        CannedServer(HELLO) as plain,
        CannedServer(HELLO, tls=server_tls(ca)) as secure,
    ):
        address = proxy.url.replace("//", "//ada@")
        right = Way(ca_file=ca_file, proxy=address, proxy_password="s3cret")
        wrong = Way(ca_file=ca_file, proxy=address, proxy_password="wrong")
        answers = [
            await hello(f"{scheme}://server.test:{port}", way)
            for way in (right, wrong)
            for scheme, port in (("http", plain.port), ("https", secure.port))
        ]
        assert ([kind(each) for each in answers], "s3cret" in repr(right)) == (
            ["you", "you", FailureKind.UNREACHABLE, FailureKind.UNREACHABLE],
            False,
        )


async def test_a_proxy_that_is_not_there_is_no_server_that_is_not_there() -> None:
    answer = await hello("http://server.test", Way(proxy="http://127.0.0.1:9"))
    assert kind(answer) is FailureKind.UNREACHABLE


@pytest.mark.parametrize(
    "proxy, no_proxy, host, by_proxy",
    [
        ("system", "", "server.test", True),
        ("system", "server.test", "server.test", False),
        ("system", ".test", "server.test", False),
        ("system", "*", "server.test", False),
        ("none", "", "server.test", False),
        ("system", "", "127.0.0.1", False),
        ("system", "", "localhost", False),
    ],
)
async def test_the_systems_proxy_is_asked_only_where_the_system_says_so(
    monkeypatch: pytest.MonkeyPatch, proxy: str, no_proxy: str, host: str, by_proxy: bool
) -> None:
    async with ForwardProxy() as there, CannedServer(HELLO) as server, sockets() as port:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("http_proxy", there.url)
        monkeypatch.setenv("no_proxy", no_proxy)
        await hello(f"http://{host}:{server.port}", Way(proxy=proxy))
        await echo(f"http://{host}:{port}", Way(proxy=proxy))
        assert len(there.requests) == (2 if by_proxy else 0)


async def test_a_socks_proxy_of_the_system_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    assert await hello("http://server.test") == Failure(
        FailureKind.UNREACHABLE, "the proxy is a SOCKS proxy, which Uphaul does not speak"
    )


@asynccontextmanager
async def sockets(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A WebSocket server that says what it hears; its port."""

    async def repeat(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(repeat, "127.0.0.1", 0, ssl=context) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def echo(url: str, way: Way = DIRECT_WAY) -> str | bytes | Failure:
    """Say hello over a WebSocket; return what comes back, or the failure."""
    try:
        async with await open_socket(Account(Endpoint(url, way=way)), "/ws") as socket:
            await socket.send("hello")
            return await socket.receive()
    except TransferError as error:
        return without_secrets(error)
