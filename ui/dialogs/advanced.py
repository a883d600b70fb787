"""The part of a server's dialog that is folded away: certificates, proxy, and how much goes in one request."""

from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QLineEdit, QSpinBox, QToolButton, QVBoxLayout, QWidget

from app.accounts.profiles import (
    NO_PROXY,
    SYSTEM_PROXY,
    ProfileError,
    ServerProfile,
    checked_proxy,
    without_password,
)
from app.remote.registry import DIALECTS
from app.words import number_text
from ui.dialogs.parts import FileField, Mood, Sentence, caption
from ui.theme import Theme

_MB = 1_000_000
_MANUAL = "manual"
_PROXIES = {SYSTEM_PROXY: "As the system", NO_PROXY: "None", _MANUAL: "At this address"}


class Advanced(QWidget):
    """Reads and fills a :class:`ServerProfile`. ``way_changed``: the server may be reached in another way now."""

    way_changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._profile = ServerProfile("", "", "", "")
        self.fold = QToolButton(self)
        self._page = QWidget(self)
        self._ca, self._certificate = FileField("CA file", self), FileField("client certificate", self)
        self._key = FileField("client key", self)
        self._proxy, self._proxy_address = QComboBox(self), QLineEdit(self)
        self._files, self._megabytes = _number(self, 1_000_000), _number(self, 1_000_000)
        self._certificate_said, self._proxy_said = Sentence(theme, self), Sentence(theme, self)
        self._form = QFormLayout(self._page)
        self._lay_out()
        for field in (self._ca, self._certificate, self._key):
            field.changed.connect(self.way_changed)
        self._proxy.currentIndexChanged.connect(self._proxy_chosen)
        self._proxy_address.textChanged.connect(self.way_changed)
        self.fold.toggled.connect(self._unfold)
        theme.changed.connect(self._dress)
        self._dress()
        self.show_profile(self._profile)

    def show_profile(self, profile: ServerProfile) -> None:
        """Show what *profile* says; opened if anything in here is not as usual."""
        self._profile = profile
        self._ca.line.setText(profile.ca_file)
        self._certificate.line.setText(profile.client_cert_file)
        self._key.line.setText(profile.client_key_file)
        kind = profile.proxy if profile.proxy in _PROXIES else _MANUAL
        self._proxy.setCurrentIndex(self._proxy.findData(kind))
        self._proxy_address.setText(profile.proxy if kind == _MANUAL else "")
        self._files.setValue(profile.parcel_files)
        self._megabytes.setValue(profile.parcel_bytes // _MB)
        self._proxy_chosen()
        self.fold.setChecked(self.filled(ServerProfile("", "", "", "")) != ServerProfile("", "", "", ""))

    def show_kind(self, kind: str) -> None:
        """Offer how much goes in one request, where the dialect *kind* sends many files in one."""
        usual = DIALECTS[kind].parcel if kind in DIALECTS else None
        for field in (self._files, self._megabytes):
            self._form.setRowVisible(field, usual is not None)
        if usual is not None:
            self._files.setSpecialValueText(f"As usual ({number_text(usual.max_files)})")
            self._megabytes.setSpecialValueText(f"As usual ({number_text(usual.max_bytes // _MB)} MB)")

    def filled(self, profile: ServerProfile) -> ServerProfile:
        """Return *profile* with what the fields say; nothing is checked."""
        proxy = str(self._proxy.currentData())
        same_size = self._megabytes.value() == self._profile.parcel_bytes // _MB
        return replace(
            profile,
            ca_file=self._ca.line.text().strip(),
            client_cert_file=self._certificate.line.text().strip(),
            client_key_file=self._key.line.text().strip(),
            proxy=self._proxy_address.text().strip() if proxy == _MANUAL else proxy,
            parcel_files=self._files.value(),
            parcel_bytes=self._profile.parcel_bytes if same_size else self._megabytes.value() * _MB,
        )

    def check(self) -> bool:
        """Say beside the field what is wrong, and put the keyboard there; return whether all is well."""
        profile = self.filled(self._profile)
        self._certificate_said.say("")
        self._proxy_said.say("")
        if profile.client_key_file and not profile.client_cert_file:
            return self._refuse(
                self._certificate_said, self._certificate, "A client key needs its certificate, too."
            )
        if self._proxy.currentData() == _MANUAL and not profile.proxy:
            return self._refuse(self._proxy_said, self._proxy_address, "Where is the proxy?")
        try:
            checked_proxy(without_password(profile.proxy)[0])
        except ProfileError as error:
            return self._refuse(self._proxy_said, self._proxy_address, str(error))
        return True

    def _refuse(self, where: Sentence, field: QWidget, text: str) -> bool:
        self.fold.setChecked(True)
        where.say(text, Mood.BAD)
        field.setFocus()
        return False

    def _lay_out(self) -> None:
        self.fold.setText("Advanced")
        self.fold.setToolTip("Certificates, proxy, how much goes in one request")
        self.fold.setCheckable(True)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.fold.setProperty("fold", True)
        for value, word in _PROXIES.items():
            self._proxy.addItem(word, value)
        for field in (self._proxy, self._files, self._megabytes):
            field.setMinimumHeight(28)
        self._proxy_address.setPlaceholderText("http://proxy.example:3128")
        self._megabytes.setSuffix(" MB")
        self._form.setContentsMargins(0, 4, 0, 0)
        self._form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows: tuple[tuple[str, QWidget], ...] = (
            ("CA file", self._ca),
            ("Client certificate", self._certificate),
            ("Client key", self._key),
            ("", self._certificate_said),
            ("Proxy", self._proxy),
            ("", self._proxy_address),
            ("", self._proxy_said),
            ("Files in a request", self._files),
            ("Size of a request", self._megabytes),
        )
        for word, widget in rows:
            self._form.addRow(caption(word, self) if word else "", widget)
        for widget, name in (
            (self._proxy, "Proxy"),
            (self._proxy_address, "Address of the proxy"),
            (self._files, "Files in a request"),
            (self._megabytes, "Size of a request in megabytes"),
        ):
            widget.setAccessibleName(name)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.fold)
        layout.addWidget(self._page)
        self._page.hide()

    def _proxy_chosen(self) -> None:
        self._form.setRowVisible(self._proxy_address, self._proxy.currentData() == _MANUAL)
        self.way_changed.emit()

    def _unfold(self, is_open: bool) -> None:
        self._page.setVisible(is_open)
        self._dress()

    def _dress(self) -> None:
        picture = "chevron-down" if self.fold.isChecked() else "chevron-right"
        self.fold.setIcon(self._theme.icon(picture, self._theme.colours.secondary))


def _number(parent: QWidget, most: int) -> QSpinBox:
    box = QSpinBox(parent)
    box.setRange(0, most)
    box.setGroupSeparatorShown(True)
    box.setSpecialValueText("As usual")
    box.setMinimumWidth(160)
    return box
