"""The invented conversation that `mimir demo` remembers, with questions and gold answers.

`turns.jsonl` holds one turn a line in order of time: id, session, at, speaker, role, text. `questions.jsonl` holds one
question a line: id, text, answer, turns, kind. The gold `turns` are those that state the answer or a needed part of it,
an assistant's confirmation included. Kinds: `single` is one fact, `multi` joins several turns, `time` asks for a date
or hour, `changed` asks about a fact that did not stay as it was first told, `preference` asks what somebody likes.
"""
