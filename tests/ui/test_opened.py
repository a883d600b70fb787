"""What macOS hands to the running program, as Qt tells it: files come one by one, and links without a file."""

import json
import subprocess
import sys

SCRIPT = """
import json
from PySide6.QtCore import QCoreApplication, QTimer, QUrl
from PySide6.QtGui import QFileOpenEvent
from ui.opened import Application

app = Application(["uphaul"])
heard = []
app.files_opened.connect(heard.append)
app.files_opened.connect(app.quit)
app.link_followed.connect(lambda: heard.append("link"))
for event in (QFileOpenEvent("/a/one.jpg"), QFileOpenEvent(QUrl("uphaul:")), QFileOpenEvent("/a/two ü.jpg")):
    QCoreApplication.sendEvent(app, event)
app.exec()
print(json.dumps(heard))
"""


def test_the_files_of_one_drop_are_one_batch_and_a_link_shows_the_window() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=50, check=False
    )
    assert json.loads(done.stdout or "null") == ["link", ["/a/one.jpg", "/a/two ü.jpg"]], done.stderr
