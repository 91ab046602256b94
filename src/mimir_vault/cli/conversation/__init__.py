"""The invented conversation that `mimir demo` remembers: `turns.jsonl`, and `questions.jsonl` with gold answers."""
