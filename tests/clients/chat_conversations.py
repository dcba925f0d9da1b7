"""The conversations that chat templates are compared on."""

TEXTS = [
    "What is the capital of France?",
    "  Leading and trailing space \n",
    "caf\u00e9 \u4e2d\u6587 \U0001f600 na\u00efve \u00df",
    "\"double\" and 'single' quotes, a \\ and {{ braces }} {% tags %} <|im_start|>",
    "two\nlines\n\nand\ta tab",
    "",
]
ANSWERS = [
    "Paris.",
    '<think>\nHm, let me think.\n</think>\n\nIt is "Paris".',
    "Line one\nline two \u2014 d\u2019accord",
    "  42  ",
    "</think> odd",
    "It's 'fine'.",
]
SYSTEMS = [None, "You are a helpful assistant.", 'R\u00e9ponds en "fran\u00e7ais".\n  Sois bref. ']
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def conversation(turns, system, first, answered):
    """`turns` of the user, starting at text `first`; the last one is answered if `answered`."""
    messages = [] if system is None else [{"role": "system", "content": system}]
    for turn in range(turns):
        messages.append({"role": "user", "content": TEXTS[(first + turn) % len(TEXTS)]})
        if turn + 1 < turns or answered:
            messages.append({"role": "assistant", "content": ANSWERS[(first + turn) % len(ANSWERS)]})
    return messages


def variables(messages, prompt):
    """Variables of transformers' apply_chat_template without tools."""
    return {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": prompt, **TOKENS}


def sample():
    """A few of them: 1 to 6 turns, each system prompt, with and without the generation prompt."""
    for turns in range(1, 7):
        for prompt in (False, True):
            yield variables(conversation(turns, SYSTEMS[(turns + prompt) % len(SYSTEMS)], turns, not prompt), prompt)
    yield variables([{"role": "assistant", "content": "b"}], True)
    yield {"messages": [{"role": "user", "content": "a"}], "add_generation_prompt": True}


def cases():
    """Every combination, and conversations that templates check for."""
    for turns in range(1, 7):
        for system in SYSTEMS:
            for answered in (False, True):
                for prompt in (False, True):
                    messages = conversation(turns, system, turns, answered)
                    yield variables(messages, prompt)
    # What chat programs never send, and templates check for.
    user, assistant = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    for messages in (
        [],
        [assistant],
        [user, user],
        [{"role": "tool", "content": "x"}],
        [user, {"role": "system", "content": "s"}],
        [{"role": "developer", "content": "d"}, user],
        [{"content": "no role"}],
        [{"role": "user"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": [{"type": "text", "text": "part"}]}],
    ):
        yield variables(messages, True)
    yield {"messages": [user], "add_generation_prompt": True, "enable_thinking": False, **TOKENS}
    yield {"messages": [user], "add_generation_prompt": True}
