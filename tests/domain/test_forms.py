"""A form as one question, and the answer as its values."""

from __future__ import annotations

from app.domain.forms import Field, FormAsked, described, filled, options_of
from app.domain.interrupt import Answer

COLOUR = Field("question_0", "choice", "Colour", "* red: warm", ("Red", "Blue"))
OTHER = Field("question_0_custom", "text", "Other")
ONE = FormAsked("Which colour?", (COLOUR, OTHER))


def test_a_choice_is_picked_by_its_option_or_its_words() -> None:
    assert options_of(ONE) == ("Red", "Blue")
    assert "* red: warm" in described(ONE)
    assert filled(ONE, Answer(option="Red")) == {"question_0": "Red"}
    assert filled(ONE, Answer(text="blue")) == {"question_0": "Blue"}
    assert filled(ONE, Answer(text="neither")) == {"question_0_custom": "neither"}
    assert filled(ONE, Answer(option="Red", text="but dark")) == {"question_0": "Red", "question_0_custom": "but dark"}


def test_what_is_no_answer_declines() -> None:
    assert filled(ONE, Answer(action="cancel")) is None
    assert filled(ONE, Answer(action="modify", text="do something else")) is None
    assert filled(FormAsked("Go on?"), Answer(text="yes")) == {}


def test_values_have_their_kinds() -> None:
    for kind, given, value in (
        ("integer", "7", 7),
        ("number", "1.5", 1.5),
        ("boolean", "yes", True),
        ("boolean", "No", False),
        ("text", "7", "7"),
    ):
        assert filled(FormAsked("?", (Field("f", kind),)), Answer(text=given)) == {"f": value}  # type: ignore[arg-type]
    assert filled(FormAsked("?", (Field("f", "integer"),)), Answer(text="many")) == {}
    several = Field("f", "choices", options=("a", "b", "c"))
    assert filled(FormAsked("?", (several,)), Answer(text="A, c")) == {"f": ["a", "c"]}
    assert options_of(FormAsked("?", (Field("f", "boolean"),))) == ("Yes", "No")


def test_several_questions_are_answered_line_by_line() -> None:
    form = FormAsked("Two things.", (COLOUR, OTHER, Field("port", "integer", "Port"), Field("name", "text")))
    assert options_of(form) == ()
    assert described(form).splitlines()[1:] == ["1. Colour * red: warm (Red / Blue)", "2. Port", "3. name"]
    assert filled(form, Answer(text="1: red\nPORT: 80\nname: x: y\nnoise")) == {
        "question_0": "Red",
        "port": 80,
        "name": "x: y",
    }
    assert filled(form, Answer(text="1: green")) == {"question_0_custom": "green"}
