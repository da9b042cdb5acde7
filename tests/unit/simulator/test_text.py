"""What the made-up model says, and what it costs."""

from agenttype_simulator import text
from agenttype_simulator.text import Wish
from hypothesis import given
from hypothesis import strategies as st

AMPLE = Wish(max_tokens=1000)


def said(prompt: str, wish: Wish = AMPLE, model: str = "base", index: int = 0) -> str:
    return "".join(token.text for token in text.answer(model, prompt, wish, index))


def test_the_same_question_gets_the_same_answer():
    assert said("Hello") == said("Hello")


def test_another_question_model_or_choice_gets_another_answer():
    assert len({said("Hello"), said("Hullo"), said("Hello", model="green"), said("Hello", index=1)}) == 4


def test_an_answer_begins_with_the_name_of_who_speaks():
    assert said("Hello", model="green").split()[0] == "green"


def test_an_answer_has_sixteen_tokens_of_which_the_last_is_the_silent_end():
    answer = text.answer("base", "Hello", AMPLE)
    assert len(answer) == 16
    assert (answer[-1].text, answer[-1].finish) == ("", "stop")


def test_a_prompt_can_ask_for_a_length():
    assert len(text.answer("base", "Say much. [[tokens=40]]", AMPLE)) == 40


def test_the_last_mark_of_a_prompt_holds():
    assert len(text.answer("base", "[[tokens=40]] [[tokens=3]]", AMPLE)) == 3


def test_a_prompt_can_say_the_answer():
    answer = text.answer("base", "[[say=AKIA is a key]]", AMPLE)
    assert "".join(token.text for token in answer) == "AKIA is a key"
    assert len(answer) == 5


def test_a_bound_cuts_the_answer_and_says_so():
    answer = text.answer("base", "[[tokens=40]]", Wish(max_tokens=7))
    assert len(answer) == 7
    assert answer[-1].finish == "length"


def test_an_ignored_end_runs_to_the_bound():
    answer = text.answer("base", "[[say=two words]]", Wish(max_tokens=7, ignore_end=True))
    assert "".join(token.text for token in answer) == "two words two words two words two"
    assert answer[-1].finish == "length"


def test_a_stop_string_ends_the_answer_before_itself():
    answer = text.answer("base", "[[say=one two three]]", Wish(max_tokens=9, stop=("wo th",)))
    assert "".join(token.text for token in answer) == "one t"
    assert (len(answer), answer[-1].finish, answer[-1].stop) == (3, "stop", "wo th")


@given(st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_an_answer_is_never_longer_than_its_bound_and_ends_once(asked, bound, ignore_end):
    answer = text.answer("base", f"[[tokens={asked}]]", Wish(max_tokens=bound, ignore_end=ignore_end))
    assert len(answer) == (bound if ignore_end else min(asked, bound))
    assert [token.finish for token in answer[:-1]] == [None] * (len(answer) - 1)


@given(st.integers(2, 60))
def test_the_text_of_a_cut_answer_costs_what_was_charged(bound):
    assert text.count(said("[[tokens=999]]", Wish(max_tokens=bound))) == bound


def test_a_chat_costs_its_words_and_one_for_each_message_and_one():
    assert text.count(text.rendered([("system", "Be short."), ("user", "How are you?")])) == 5 + 2 + 1


def test_a_prompt_of_token_ids_has_these_ids():
    assert text.numbers(text.of_numbers([504, 3575])) == [504, 3575]


CALLING = Wish(max_tokens=100, may_call=True)


def called(prompt: str, wish: Wish = CALLING) -> tuple[str, str]:
    parts = [token.call for token in text.answer("base", prompt, wish) if token.call]
    return "".join(part.name for part in parts), "".join(part.arguments for part in parts)


def test_a_prompt_can_ask_for_a_tool_call():
    assert called('[[call=look_up {"id": 7}]]') == ("look_up", '{"id": 7}')


def test_a_call_of_an_earlier_turn_is_history():
    turns = [("user", '[[call=look_up {"id": 7}]]'), ("assistant", ""), ("tool", "Seven.")]
    assert called(text.rendered(turns)) == ("", "")


def test_a_tools_answer_can_ask_for_the_next_call():
    turns = [("user", '[[call=look_up {"id": 7}]]'), ("assistant", ""), ("tool", '[[call=sell {"id": 8}]]')]
    assert called(text.rendered(turns)) == ("sell", '{"id": 8}')


def test_no_tool_is_called_that_was_not_offered():
    assert called('[[call=look_up {"id": 7}]]', AMPLE) == ("", "")


def test_a_call_that_the_bound_cuts_is_not_finished():
    answer = text.answer("base", '[[call=look_up {"id": 7}]]', Wish(max_tokens=3, may_call=True))
    assert (len(answer), answer[-1].finish) == (3, "length")
