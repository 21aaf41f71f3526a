"""The keyed hash is HMAC-SHA256, whatever the lengths."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from postrider.kernel.keyed import KeyedHash


@given(key=st.binary(max_size=200), texts=st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_it_gives_what_hmac_gives_for_every_text_in_turn(key: bytes, texts: list[bytes]) -> None:
    keyed = KeyedHash(key)
    assert [keyed.digest(text) for text in texts] == [hmac.digest(key, text, "sha256") for text in texts]
