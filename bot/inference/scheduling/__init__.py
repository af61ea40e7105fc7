"""Admission, preemption and batching of sequences. Pure: no clock, no I/O, no model."""
