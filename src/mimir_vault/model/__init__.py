"""Values: drafts, nodes, links, hits, filters, time and their encoding; no I/O and no keys."""
