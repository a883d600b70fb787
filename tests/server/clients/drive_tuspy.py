"""One act of tuspy, the tus project's own client in Python: told and answered as JSON, like js/drive.cjs.

It runs in a process of its own, as a sender that is not ours would; it leaves files and sockets to the collector.
"""

import asyncio
import json
import sys
from typing import Any

from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from tusclient.storage.filestorage import FileStorage


def upload(told: dict[str, Any]) -> str:
    """Upload, or go on; return where it is."""
    client = TusClient(told["url"], headers={"Authorization": f"Bearer {told['token']}"})
    options: dict[str, Any] = {"metadata": told["metadata"], "upload_checksum": told.get("checksum", False)}
    if "chunk" in told:
        options["chunk_size"] = told["chunk"]
    if "store" in told:
        options |= {"store_url": True, "url_storage": FileStorage(told["store"])}
    if told.get("asynchronous"):
        later = client.async_uploader(told["path"], **options)
        asyncio.run(later.upload(told.get("stopAt")))
        return str(later.url)
    now = client.uploader(told["path"], **options)
    now.upload(told.get("stopAt"))
    return str(now.url)


def main() -> None:
    """Do it, and say how it went."""
    try:
        answer: dict[str, Any] = {"location": upload(json.load(sys.stdin))}
    except TusCommunicationError as error:
        answer = {"status": error.status_code, "error": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
