"""Sealing: the only calls into the crypto libraries, key labels, envelopes and secret buffers."""
