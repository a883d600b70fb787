"""Both kinds of Doorito are found from a pasted address, and told apart by the sessions that only one of them has."""

from app.remote.detect import detect
from app.remote.registry import DOORITO, DOORITO_FORM
from tests.support.doorito_form_server import FakeDooritoForm
from tests.support.doorito_server import FakeDoorito
from tests.support.server import ServerProcess


async def test_a_server_with_sessions(fake: FakeDoorito) -> None:
    found = await detect(fake.url)
    can = found.abilities
    assert (found.dialect, found.url) == (DOORITO, fake.url)
    assert can is not None
    assert (can.resume, can.cancel_file, can.lists_batches) == (True, False, True)


async def test_todays_code_is_the_form(form: FakeDooritoForm) -> None:
    found = await detect(f"{form.url}/app/upload/")
    assert (found.dialect, found.url) == (DOORITO_FORM, form.url)


async def test_our_own(server: ServerProcess) -> None:
    found = await detect(f"{server.url}/doorito")
    can = found.abilities
    assert (found.dialect, found.url) == (DOORITO, f"{server.url}/doorito")
    assert can is not None
    assert (can.resume, can.cancel_file, can.cancel_batch) == (True, True, True)
