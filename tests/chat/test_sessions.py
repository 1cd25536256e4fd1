"""Tests for `superchat.chat.sessions`: numbering, look-up by nickname, and who is admitted."""

from __future__ import annotations

from hypothesis import strategies as st

ADDRESSES = ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
ACTS = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(ADDRESSES)),
    st.tuples(st.just("rename"), st.integers(0, 9), st.sampled_from(["ann", "bea", "Ann"])),
    st.tuples(st.just("close"), st.integers(0, 9)),
)


