"""Notifications: through the desktop's own service where there is one (with a button), else through the tray."""

import logging
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QSocketNotifier, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QImage

from ui.icons import draw
from ui.tray import TrayIcon
from ui.views.value import showable

log = logging.getLogger(__name__)

Action = Callable[[], object]

_PATH = "/org/freedesktop/Notifications"
_NAME = "org.freedesktop.Notifications"
_PATIENCE_S = 1.0
_ICON_SIZE = 64
_SERVER_DECIDES_MS = -1


class Notifier(QObject):
    """Tells a person something while the window may be hidden. Never raises; ``close()`` it before the program ends."""

    def __init__(self, tray: TrayIcon, parent: QObject) -> None:
        super().__init__(parent)
        self._tray = tray
        self._service: DesktopService | None = None
        self._on_tray_click: Action | None = None
        tray.message_clicked.connect(self._tray_clicked)

    def notify(
        self, title: str, body: str, action_label: str | None = None, on_action: Action | None = None
    ) -> bool:
        """Show *title* and *body*, with a button *action_label* that calls *on_action*; False if there was no way to."""
        title, body = showable(title), showable(body)
        if self._through_desktop(title, body, action_label, on_action):
            return True
        self._on_tray_click = on_action
        return self._tray.show_message(title, body)

    def close(self) -> None:
        """Leave the bus."""
        service, self._service = self._service, None
        if service is not None:
            service.close()

    def _through_desktop(self, title: str, body: str, label: str | None, on_action: Action | None) -> bool:
        if not sys.platform.startswith("linux"):
            return False
        try:
            if self._service is None:
                self._service = DesktopService(self, self.close)
            self._service.show(title, body, label, on_action)
        except Exception as error:  # the bus is the desktop's: whatever is wrong with it, uploading goes on
            log.info("No notification service: %s", error)
            self.close()
            return False
        return True

    def _tray_clicked(self) -> None:
        on_action, self._on_tray_click = self._on_tray_click, None
        if on_action is not None:
            on_action()


class DesktopService:
    """org.freedesktop.Notifications on a connection of our own.

    Not QtDBus: ``Notify`` wants an unsigned number, and PySide6 has no way to make one in a message. jeepney, which
    comes with keyring on Linux, has. Waits at most a second for a bus that does not answer.
    """

    def __init__(self, parent: QObject, on_lost: Callable[[], None]) -> None:
        """Connect; raise OSError or what jeepney raises if there is no bus or no service."""
        from jeepney import MatchRule, message_bus  # type: ignore[import-untyped]
        from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]

        self._actions: dict[int, Action] = {}
        self._on_lost = on_lost
        self._closed = False
        self._overheard: deque[Any] = deque()
        self._bus = open_dbus_connection(auth_timeout=_PATIENCE_S)
        try:
            rule = MatchRule(type="signal", interface=_NAME, path=_PATH)
            self._bus.filter(rule, queue=self._overheard)
            self._call(message_bus.AddMatch(rule))
            self._markup = "body-markup" in self._call(self._method("GetCapabilities"))[0]
        except BaseException:
            self._bus.close()
            raise
        self._listener = QSocketNotifier(self._bus.sock.fileno(), QSocketNotifier.Type.Read, parent)
        self._listener.activated.connect(self._listen)

    def show(self, title: str, body: str, label: str | None, on_action: Action | None) -> None:
        """Show a notification; raise what jeepney raises if the service refuses or is gone."""
        offered = label is not None and on_action is not None
        entry = QGuiApplication.desktopFileName() or "uphaul"
        hints = {"desktop-entry": ("s", entry), "image-data": ("(iiibiiay)", _picture())}
        arguments = (
            "Uphaul",
            0,
            "",
            title,
            _escaped(body) if self._markup else body,
            ["default", label, "show", label] if offered else [],
            hints,
            _SERVER_DECIDES_MS,
        )
        (number,) = self._call(self._method("Notify", "susssasa{sv}i", arguments))
        if on_action is not None and offered:
            self._actions[number] = on_action
        QTimer.singleShot(0, self._listener, self._listen)

    def close(self) -> None:
        """Leave the bus."""
        self._closed = True
        self._listener.setEnabled(False)
        self._listener.deleteLater()
        self._bus.close()

    def _method(self, name: str, signature: str | None = None, arguments: tuple[Any, ...] = ()) -> Any:
        from jeepney import DBusAddress, new_method_call

        return new_method_call(
            DBusAddress(_PATH, bus_name=_NAME, interface=_NAME), name, signature, arguments
        )

    def _call(self, message: Any) -> tuple[Any, ...]:
        """Send and wait; signals that come meanwhile are kept for ``_listen``."""
        from jeepney.wrappers import unwrap_msg  # type: ignore[import-untyped]

        answer: tuple[Any, ...] = unwrap_msg(self._bus.send_and_get_reply(message, timeout=_PATIENCE_S))
        return answer

    def _listen(self) -> None:
        while self._overheard:
            self._hear(self._overheard.popleft())
        try:
            while not self._closed:
                self._hear(self._bus.receive(timeout=0))
        except TimeoutError:
            pass
        except OSError:
            self._on_lost()

    def _hear(self, message: Any) -> None:
        from jeepney import HeaderFields

        member = message.header.fields.get(HeaderFields.member)
        if member == "ActionInvoked":
            on_action = self._actions.pop(message.body[0], None)
            if on_action is not None:
                on_action()
        elif member == "NotificationClosed":
            self._actions.pop(message.body[0], None)


def _picture() -> tuple[int, int, int, bool, int, int, bytes]:
    """Return the app's icon as the specification's (width, height, rowstride, alpha, bits, channels, data)."""
    image = draw("uphaul", _ICON_SIZE, QColor(), 1.0).toImage()
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    return image.width(), image.height(), image.bytesPerLine(), True, 8, 4, bytes(image.constBits())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
