"""Whatever is pasted: the dialect and the address of the server behind it, or what answers there instead."""

import json
from collections.abc import Iterator, Mapping

import pytest

from app.domain.failure import FailureKind, TransferError
from app.remote.detect import detect
from tests.support.canned_server import Canned, CannedServer, json_answer, page
from tests.support.server import ServerProcess

Answers = Mapping[tuple[str, str], Canned]

HUB_401 = json_answer('{"success":false,"error":"Chybí autentizační token","code":"UNAUTHORIZED"}', 401)
PSYOP = json_answer('{"detail":"It was never real. The endpoint was a psyop"}', 404)
HEALTH_1 = Canned(200, "1", {"Content-Type": "text/plain; charset=utf-8"})
LOGIN = page('<form><input type="hidden" name="csrfmiddlewaretoken" value="x"></form>')
DJANGO_OK = json_answer('{"status": "ok"}')
TUS = Canned(
    204, headers={"Tus-Resumable": "1.0.0", "Tus-Version": "1.0.0", "Tus-Extension": "creation,termination"}
)
DRAFT = Canned(204, headers={"Upload-Limit": "max-size=1000000", "Upload-Draft-Interop-Version": "8"})
NEXT_JS = page("<html><div id=__next></div></html>")
WELCOME = json_answer('{"message":"Welcome to the File Transfer API"}')

# As the contracts describe the real servers: what they answer to strangers.
VUEMANTICS = {("GET", "/v1/health"): HEALTH_1, ("GET", "/api/v1/health"): HEALTH_1}
BEHIND_NGINX = {("GET", "/"): NEXT_JS, ("GET", "/api/v1/health"): HEALTH_1, ("GET", "/api/v1"): PSYOP}
ONLY_PSYOP = {("GET", "/v1/health"): PSYOP}
DIRECTDRIVE = {("GET", "/"): WELCOME}
DIRECTDRIVE_BEHIND = {
    ("GET", "/"): NEXT_JS,
    ("GET", "/openapi.json"): json_answer(json.dumps({"paths": {"/api/v1/upload/initiate": {}}})),
}
BELOW_EVERY_PATH = {
    ("GET", "/hub/api/projects"): HUB_401,
    ("GET", "/hub/projects/api/projects"): HUB_401,
}
HUB = {("GET", "/"): NEXT_JS, ("GET", "/login"): NEXT_JS, ("GET", "/api/projects"): HUB_401}
FORM = {("GET", "/"): Canned(302, headers={"Location": "/app/login/?next=/"}), ("GET", "/healthz/"): DJANGO_OK,
        ("GET", "/app/login/"): LOGIN}  # fmt: skip
SESSIONS = {**FORM, ("POST", "/uploads/sessions"): json_answer('{"detail":"no credentials"}', 401)}
TUSD = {("OPTIONS", "/files/"): TUS, ("OPTIONS", "/files"): Canned(301, headers={"Location": "/files/"})}
DEEP_TUS = {("OPTIONS", "/a/b/up%C3%A9"): TUS}
DRAFTED = {("OPTIONS", "/uploads"): DRAFT}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), "--rate-limits", "off") as server:
        yield server


@pytest.mark.parametrize(
    "pasted, dialect, path",
    [
        ("", "uphaul", ""),
        ("/", "uphaul", ""),
        ("/docs", "uphaul", ""),
        ("/docs#cancel", "uphaul", ""),
        ("/files", "uphaul", ""),
        ("/files/4711", "uphaul", ""),
        ("/api/v1/batches?limit=5", "uphaul", ""),
        ("/no/such/page", "uphaul", ""),
        ("/vuemantics", "vuemantics", "/vuemantics"),
        ("/vuemantics/", "vuemantics", "/vuemantics"),
        ("/vuemantics/v1/uploads/bulk", "vuemantics", "/vuemantics"),
        ("/directdrive", "directdrive", "/directdrive"),
        ("/directdrive/docs", "directdrive", "/directdrive"),
        ("/cell-segmentation-hub", "cell_segmentation_hub", "/cell-segmentation-hub"),
        ("/cell-segmentation-hub/login", "cell_segmentation_hub", "/cell-segmentation-hub"),
        ("/doorito/app/login/", "doorito", "/doorito"),
    ],
)
async def test_our_own_server_in_all_its_roles(
    embedded: ServerProcess, pasted: str, dialect: str, path: str
) -> None:
    found = await detect(embedded.url.removeprefix("http://") + pasted)
    assert (found.dialect, found.url) == (dialect, embedded.url + path)


@pytest.mark.parametrize(
    "answers, pasted, dialect, path",
    [
        (VUEMANTICS, "", "vuemantics", ""),
        (VUEMANTICS, "/docs", "vuemantics", ""),
        (BEHIND_NGINX, "/", "vuemantics", "/api"),
        (BEHIND_NGINX, "/api/v1", "vuemantics", "/api"),
        (BEHIND_NGINX, "/some/page", "vuemantics", "/api"),
        (ONLY_PSYOP, "", "vuemantics", ""),
        (DIRECTDRIVE, "/api/v1/upload/initiate", "directdrive", ""),
        (DIRECTDRIVE_BEHIND, "/dashboard", "directdrive", ""),
        (HUB, "", "cell_segmentation_hub", ""),
        (HUB, "/login", "cell_segmentation_hub", ""),
        (HUB, "/api/projects", "cell_segmentation_hub", ""),
        (BELOW_EVERY_PATH, "/hub/projects", "cell_segmentation_hub", "/hub"),
        (FORM, "/app/upload/", "doorito_form", ""),
        (FORM, "", "doorito_form", ""),
        (SESSIONS, "/app/login/", "doorito", ""),
        (TUSD, "", "tus", "/files/"),
        (TUSD, "/files/", "tus", "/files/"),
        (TUSD, "/files", "tus", "/files/"),
        (DEEP_TUS, "/a/b/upé", "tus", "/a/b/up%C3%A9"),
        (DRAFTED, "", "tus", "/uploads"),
    ],
)
async def test_the_real_servers_as_their_contracts_describe_them(
    answers: Answers, pasted: str, dialect: str, path: str
) -> None:
    async with CannedServer(answers) as server:
        found = await detect(server.url + pasted)
        assert (found.dialect, found.url) == (dialect, server.url + path)


async def test_what_a_server_can_do_is_told_where_it_tells_strangers() -> None:
    async with CannedServer(TUSD) as server:
        found = await detect(server.url)
        abilities = found.abilities
        assert (
            abilities and (abilities.resume, abilities.cancel_file, abilities.checksum),
            found.sentence,
        ) == (
            (True, True, False),
            "tus answers there. It may want a token, or take files of anybody.",
        )


@pytest.mark.parametrize(
    "answers, otherwise, says",
    [
        ({}, page("<h1>Sign in</h1>"), "a web page answers there, perhaps one to sign in by, and no server that Uphaul knows"),
        ({}, Canned(302, headers={"Location": "https://portal.example/"}), "a web page answers there, perhaps one to sign in by, and no server that Uphaul knows"),
        ({}, json_answer('{"detail":"who are you?"}', 401), "it wants a sign-in before it says what it is: say which kind of server it is"),
        ({}, json_answer('{"detail":"Not Found"}', 404), "something answers there, but no server that Uphaul knows"),
        ({}, json_answer("[1, 2"), "something answers there, but no server that Uphaul knows"),
        ({**DIRECTDRIVE, **VUEMANTICS}, None, "it could be DirectDrive or vuemantics: say which kind of server it is"),
    ],
)  # fmt: skip
async def test_what_no_server_is_is_said_as_it_is(
    answers: Answers, otherwise: Canned | None, says: str
) -> None:
    async with CannedServer(answers, otherwise=otherwise) as server:
        with pytest.raises(TransferError) as caught:
            await detect(server.url)
        failure = caught.value.failure
        assert (failure.kind, failure.detail) == (FailureKind.NOT_A_SERVER, says)


@pytest.mark.parametrize(
    "pasted, kind",
    [
        ("127.0.0.1:9", FailureKind.UNREACHABLE),
        ("http://127.0.0.1:9/x", FailureKind.UNREACHABLE),
        ("ftp://127.0.0.1", FailureKind.NOT_A_SERVER),
        ("", FailureKind.NOT_A_SERVER),
        ("http://[::1", FailureKind.NOT_A_SERVER),
        ("http://me:s3cret@127.0.0.1:9", FailureKind.NOT_A_SERVER),
        ("two words", FailureKind.NOT_A_SERVER),
    ],
)
async def test_what_is_no_address_or_nobody_answers_at(pasted: str, kind: FailureKind) -> None:
    with pytest.raises(TransferError) as caught:
        await detect(pasted)
    assert (caught.value.failure.kind, "s3cret" in str(caught.value)) == (kind, False)


async def test_a_server_that_is_silent_is_not_waited_for_long() -> None:
    async with CannedServer({}, otherwise=Canned(200, silence=True)) as server:
        with pytest.raises(TransferError) as caught:
            await detect(server.url, each_s=0.1)
        assert caught.value.failure.detail == "it did not answer within 0.1 seconds"


async def test_one_question_that_gets_no_answer_does_not_hide_the_others() -> None:
    async with CannedServer({**DIRECTDRIVE, ("GET", "/api/projects"): Canned(200, silence=True)}) as server:
        assert (await detect(server.url, each_s=0.3)).dialect == "directdrive"


async def test_all_together_end_in_time() -> None:
    async with CannedServer({("GET", "/"): page()}, otherwise=Canned(200, silence=True)) as server:
        with pytest.raises(TransferError) as caught:
            await detect(server.url, each_s=5, all_s=0.2)
        assert caught.value.failure.detail == "it did not answer within 0.2 seconds"


async def test_the_questions_are_few_hold_no_secret_and_make_nothing() -> None:
    async with CannedServer({}) as server:
        with pytest.raises(TransferError):
            await detect(f"{server.url}/some/long/path/of/a/page")
        secret_headers = {"authorization", "cookie", "proxy-authorization"}
        assert (
            len(server.asked) < 60,
            {each.method for each in server.asked},
            [each for each in server.asked if each.body],
            [each for each in server.asked if secret_headers & set(each.headers)],
            server.most_connections <= 4,
        ) == (True, {"GET", "OPTIONS", "POST"}, [], [], True)
