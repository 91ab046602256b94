"""Ranking: lanes, fusion, neighbours and the context builder; pure functions over ids and scores."""
