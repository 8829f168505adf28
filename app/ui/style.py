"""The style sheet made from the tokens: what Fusion leaves open about buttons, fields, tables and bars."""

from __future__ import annotations

from string import Template

from app.ui.tokens import Tokens

# A rule of the sheet stays on one line, or few: it is read as a table.
# ruff: noqa: E501
_SHEET = Template("""
QWidget { color: $text; }
QMainWindow, QWidget#frame { background: $window; }
QWidget#page, QWidget#content { background: $surface; }
QWidget#navigation { background: $window; border-right: 1px solid $border; }
QWidget#fleet-header { background: $surface; border-bottom: 1px solid $border; }
QWidget#status-strip { background: $window; border-top: 1px solid $border; }
QWidget#toolbar { background: $surface; border-bottom: 1px solid $border; }
QWidget#panel-top { background: $surface; border-top: 1px solid $border; }
QLabel { background: transparent; }
QLabel[tone="muted"] { color: $muted; }
QLabel[tone="faint"] { color: $faint; }
QLabel[tone="danger"] { color: $danger; }
QLabel[role="caption"] { color: $faint; font-weight: 600; }
QToolTip { background: $raised; color: $text; border: 1px solid $strong_border; padding: 4px 8px; }

QToolButton#menu-button { background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 6px 8px; }
QToolButton#menu-button:hover, QToolButton#menu-button:pressed { background: $hover; }
QToolButton#menu-button:focus { border: 1px solid $accent; }
QToolButton#menu-button::menu-indicator { image: none; }
QPushButton {
  background: $raised; color: $text; border: 1px solid $strong_border; border-radius: 6px;
  padding: 0 12px; min-height: 30px;
}
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $selection; }
QPushButton:disabled { color: $faint; border-color: $border; background: transparent; }
QPushButton:focus { border: 2px solid $accent; padding: 0 11px; min-height: 28px; }
QPushButton[kind="primary"] { background: $accent; color: $on_accent; border: 1px solid $accent; font-weight: 600; }
QPushButton[kind="primary"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[kind="primary"]:focus { border: 2px solid $text; }
QPushButton[kind="primary"]:disabled { background: $neutral_ground; color: $faint; border-color: $neutral_ground; }
QPushButton[kind="danger"] { background: $red_ink; color: $red_ground; border: 1px solid $red_ink; font-weight: 600; }
QPushButton[kind="danger"]:focus { border: 2px solid $text; }
QPushButton[kind="danger"]:disabled { background: $neutral_ground; color: $faint; border-color: $neutral_ground; }
QPushButton::menu-indicator { image: none; width: 0; }
QPushButton[kind="quiet"] { background: transparent; border: 1px solid transparent; color: $muted; }
QPushButton[kind="quiet"]:hover { background: $hover; color: $text; }
QPushButton[kind="quiet"]:checked { background: $selection; color: $text; }
QPushButton[kind="quiet"]:focus { border: 2px solid $accent; }
QPushButton[kind="segment"] { background: transparent; border: 1px solid transparent; color: $muted; min-height: 28px; }
QPushButton[kind="segment"]:hover { background: $hover; color: $text; }
QPushButton[kind="segment"]:checked { background: $selection; color: $text; }
QPushButton[kind="segment"]:focus { border: 1px solid $accent; padding: 0 12px; min-height: 28px; }
QPushButton[kind="segment"]:disabled { color: $faint; }
QPushButton[kind="link"] { background: transparent; border: none; color: $accent; padding: 0 4px; min-height: 24px; }
QPushButton[kind="link"]:hover { text-decoration: underline; }
QPushButton[kind="link"]:focus { border: 1px solid $accent; border-radius: 4px; padding: 0 3px; }
QPushButton[kind="option"] { text-align: left; min-height: 34px; padding: 0 12px; }
QPushButton[kind="option"]:checked { border: 2px solid $accent; background: $selection; padding: 0 11px; min-height: 32px; }
QPushButton[kind="option"]:focus { border: 2px solid $accent; padding: 0 11px; min-height: 32px; }

QPushButton[kind="nav"] {
  text-align: left; border: 1px solid transparent; border-radius: 6px; background: transparent; color: $muted;
  padding: 0 8px; min-height: 34px;
}
QPushButton[kind="nav"]:hover { background: $hover; color: $text; }
QPushButton[kind="nav"]:checked { background: $selection; color: $text; font-weight: 600; }
QPushButton[kind="nav"]:focus { border: 1px solid $accent; }

QLineEdit, QPlainTextEdit[role="editor"], QComboBox {
  background: $surface; border: 1px solid $strong_border; border-radius: 6px; padding: 0 8px; min-height: 30px;
  selection-background-color: $accent; selection-color: $on_accent;
}
QPlainTextEdit[role="editor"] { padding: 4px; }
QLineEdit#dashboard-filter { margin: 8px 16px 4px 16px; }
QLineEdit:focus, QPlainTextEdit[role="editor"]:focus, QComboBox:focus { border: 2px solid $accent; padding-left: 7px; }
QPlainTextEdit[role="editor"]:focus { padding: 3px; }
QLineEdit:disabled, QPlainTextEdit[role="editor"]:disabled, QComboBox:disabled { background: $window; color: $faint; border-color: $border; }
QComboBox::drop-down { border: none; width: 24px; }
QComboBox QAbstractItemView { background: $raised; border: 1px solid $strong_border; selection-background-color: $selection; outline: 0; }

QTableView, QListView { background: $surface; border: none; outline: 0; gridline-color: transparent; }
QTableView::item, QListView::item { border: none; }
QHeaderView { background: $surface; border: none; }
QHeaderView::section {
  background: $surface; color: $faint; border: none; border-bottom: 1px solid $border; padding: 0 16px 0 8px; min-height: 32px;
}
QHeaderView::section:first { padding-left: 16px; }
QHeaderView::section:hover { color: $text; }
QHeaderView::down-arrow, QHeaderView::up-arrow { width: 0; height: 0; }

QTextBrowser, QPlainTextEdit#reader { background: $surface; border: none; selection-background-color: $accent; selection-color: $on_accent; }
TranscriptView { background: $surface; border: none; selection-background-color: $accent; selection-color: $on_accent; }

QTabBar { background: transparent; qproperty-drawBase: 0; }
QTabBar::tab {
  background: transparent; color: $muted; border: none; border-bottom: 2px solid transparent; padding: 0 12px; min-height: 38px;
}
QTabBar::tab:hover { color: $text; background: $hover; }
QTabBar::tab:selected { color: $text; border-bottom: 2px solid $accent; }
QTabBar::tab:focus { color: $accent; }
QTabBar QToolButton { background: $surface; border: 1px solid $border; }

QScrollArea { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle { background: $strong_border; border-radius: 4px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: $faint; }
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page { background: none; border: none; width: 0; height: 0; }

QSplitter::handle { background: $border; }
QSplitter::handle:hover { background: $accent; }
QMenu { background: $raised; border: 1px solid $strong_border; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 24px; border-radius: 4px; }
QMenu::item:selected { background: $selection; }
QMenu::item:disabled { color: $faint; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }
QWidget#attention { background: $amber_ground; border-bottom: 1px solid $border; }
QWidget#attention QLabel { color: $amber_ink; }
QWidget#attention[failed="true"] { background: $red_ground; }
QWidget#attention[failed="true"] QLabel { color: $red_ink; }
QPushButton[kind="attention"] {
  background: $amber_ink; color: $amber_ground; border: none; font-weight: 600; min-height: 26px;
}
QPushButton[kind="attention"]:focus { border: 2px solid $text; min-height: 22px; padding: 0 10px; }
QWidget#attention[failed="true"] QPushButton { background: $red_ink; color: $red_ground; }
QWidget#approving { background: $violet_ground; border-bottom: 1px solid $border; }
QWidget#approving QLabel { color: $violet_ink; }
QWidget#approving QPushButton { background: $violet_ink; color: $violet_ground; }
QPlainTextEdit[look="quiet"] { background: $sunken; border-color: $border; color: $muted; }
QRadioButton, QCheckBox { spacing: 8px; min-height: 24px; }
QRadioButton::indicator { width: 14px; height: 14px; border: 1px solid $muted; border-radius: 8px; background: $surface; }
QRadioButton::indicator:checked { width: 6px; height: 6px; border: 5px solid $accent; }
QRadioButton::indicator:focus { border-color: $accent; }
QRadioButton::indicator:disabled { border-color: $border; }
QRadioButton:focus, QCheckBox:focus { color: $accent; }
QCheckBox::indicator:unchecked { width: 13px; height: 13px; border: 1px solid $muted; border-radius: 3px; background: $surface; }
QDialog { background: $surface; }
QFrame#rule { background: $border; border: none; }
QFrame#held-message { background: $sunken; border: 1px solid $border; border-radius: 8px; }
QFrame#outcome { background: $green_ground; border: none; border-radius: 8px; }
QMessageBox { background: $surface; }
""")


def stylesheet(tokens: Tokens) -> str:
    """The style sheet for one set of tokens."""
    names = {name: getattr(tokens, name) for name in tokens.__dataclass_fields__}
    colors = {name: value for name, value in names.items() if isinstance(value, str)}
    for tone in ("neutral", "blue", "green", "amber", "red", "violet"):
        colors |= {f"{tone}_ink": names[tone].ink, f"{tone}_ground": names[tone].ground}
    return _SHEET.substitute(colors)
