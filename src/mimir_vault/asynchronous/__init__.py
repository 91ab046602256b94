"""The vault and its memories for asyncio: the same verbs, awaited, done by one thread per space."""
