"""A program that keeps, reads or forgets one secret through ``app.accounts.secrets`` and prints the answer as JSON."""

import asyncio
import dataclasses
import json
import sys

from app.accounts.secrets import Secrets


async def main(what: str, name: str, secret: str = "") -> object:
    """Do one thing, in a session of its own."""
    secrets = Secrets()
    match what:
        case "put":
            return dataclasses.asdict(await secrets.put(name, secret)) | {"now": await secrets.get(name)}
        case "get":
            return await secrets.get(name)
        case _:
            await secrets.forget(name)
            return None


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
