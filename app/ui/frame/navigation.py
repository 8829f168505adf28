"""The navigation at the left: the pages, with counts that say where something waits."""

from __future__ import annotations

from enum import StrEnum

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from app.ui.theme import Theme
from app.ui.typography import SPACE, base_font, scaled
from app.ui.widgets.labels import label

WIDTH = 26 * SPACE
NARROW_WIDTH = 23 * SPACE


class Page(StrEnum):
    """The pages, in their order."""

    DASHBOARD = "dashboard"
    MESSAGES = "messages"
    INTERRUPTS = "interrupts"
    CONSOLE = "console"


class NavButton(QPushButton):
    """A page's button with a count at the right; ``urgent`` makes the count call."""

    def __init__(self, theme: Theme, page: Page, number: int) -> None:
        super().__init__(page.value.capitalize())
        self._theme = theme
        self._page = page
        self._count = 0
        self._urgent = False
        self.setObjectName(f"nav-{page.value}")
        self.setProperty("kind", "nav")
        self.setCheckable(True)
        # A click turns to a page and leaves the focus there; Tab still reaches the button.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setIconSize(QSize(18, 18))
        self.setToolTip(f"Ctrl+{number}")
        self.setShortcut(QKeySequence(f"Ctrl+{number}"))
        self.toggled.connect(self.tint)
        theme.changed.connect(self.tint)
        self.tint()

    @property
    def count(self) -> int:
        """The figure shown, 0 for none."""
        return self._count

    def show_count(self, count: int, *, urgent: bool = False) -> None:
        """Show a figure."""
        if (count, urgent) != (self._count, self._urgent):
            self._count, self._urgent = count, urgent
            said = f"{self.text()}, {count} open" if urgent else f"{self.text()}, {count}" if count else self.text()
            self.setAccessibleName(said)
            self.update()

    def tint(self) -> None:
        """The icon follows the palette and the state."""
        self.setIcon(self._theme.icon(self._page.value, "accent" if self.isChecked() else "muted"))

    def paintEvent(self, event: QPaintEvent) -> None:
        """The button, and its count."""
        super().paintEvent(event)
        if not self._count:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(scaled(base_font(), 0.85, bold=self._urgent))
        text = str(self._count) if self._count < 1000 else "999+"
        width = max(20.0, painter.fontMetrics().horizontalAdvance(text) + 12.0)
        box = QRectF(self.width() - width - 8, (self.height() - 20) / 2, width, 20)
        if self._urgent:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.color("accent"))
            painter.drawRoundedRect(box, 10, 10)
        painter.setPen(self._theme.color("on_accent" if self._urgent else "faint"))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), text)
        painter.end()


class Navigation(QWidget):
    """``turned`` tells the page the user wants."""

    turned = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("navigation")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._buttons = {page: NavButton(theme, page, number) for number, page in enumerate(Page, 1)}
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self.menu_button = QToolButton()
        self._lay_out()
        theme.changed.connect(self._tint)
        self._tint()

    def button(self, page: Page) -> NavButton:
        """A page's button."""
        return self._buttons[page]

    def turn_to(self, page: Page) -> None:
        """Mark a page as the one shown."""
        self._buttons[page].setChecked(True)

    def use_menu(self, menu: QMenu) -> None:
        """The menu behind the three dots."""
        self.menu_button.setMenu(menu)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(int(1.5 * SPACE), 0, int(1.5 * SPACE), int(1.5 * SPACE))
        layout.setSpacing(SPACE // 2)
        layout.addWidget(self._brand())
        for page, made in self._buttons.items():
            self._group.addButton(made)
            made.clicked.connect(lambda _checked=False, page=page: self.turned.emit(page.value))
            layout.addWidget(made)
        layout.addStretch(1)
        self.menu_button.setObjectName("menu-button")
        self.menu_button.setAccessibleName("Menu")
        self.menu_button.setToolTip("Menu")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu_button.setIconSize(QSize(16, 16))
        layout.addWidget(self.menu_button, 0, Qt.AlignmentFlag.AlignLeft)

    def _brand(self) -> QWidget:
        brand = QWidget()
        brand.setFixedHeight(8 * SPACE)
        mark = QLabel()
        mark.setPixmap(self._theme.mark().pixmap(QSize(26, 26), self.devicePixelRatioF()))
        row = QHBoxLayout(brand)
        row.setContentsMargins(SPACE // 2, 0, 0, 0)
        row.setSpacing(SPACE)
        row.addWidget(mark)
        row.addWidget(label("Skerry", scale=1.2, bold=True))
        row.addStretch(1)
        return brand

    def _tint(self) -> None:
        self.menu_button.setIcon(self._theme.icon("menu", "muted"))
