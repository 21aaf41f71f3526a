import pytest

from postrider.settings import unknown_variables


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("POSTRIDER_DATABSE_URL", "POSTRIDER_DATABASE_URL"),
        ("postrider_public_url", "POSTRIDER_PUBLIC_URL"),
        ("POSTRIDER_SECRETKEY", "POSTRIDER_SECRET_KEY"),
        ("POSTRIDER_QQQQQQQQQQQQQQQQQQQQQQ", None),
    ],
)
def test_a_variable_that_means_nothing_is_named_with_the_nearest_one(name: str, near: str | None) -> None:
    known = {"POSTRIDER_DATA_DIR": "/x", "POSTRIDER_TLS_CA_FILE": "", "HOME": "/", "POSTRIDER_TEST_SEED": "1"}

    assert unknown_variables(known) == {}
    assert unknown_variables({**known, name: "x"}) == {name: near}
