"""Clean-up, limits and merging of leads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.kernel.errors import InvalidInput
from postrider.leads.columns import LeadColumns
from postrider.leads.rules import (
    TEXT_COLUMNS,
    LeadDraft,
    clean_email,
    clean_field,
    clean_linkedin,
    clean_name,
    clean_phone,
    company_domain,
    draft_lead,
    lead_tags,
    mended_field,
    merge_custom,
    merge_drafts,
    read_lead_object,
)


def text_of(draft: LeadDraft, column: str) -> str | None:
    return draft.texts[TEXT_COLUMNS.index(column)]


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("+49 (0)30 123-45 67", "+49301234567"),
        ("0049 30 1234567", "+49301234567"),
        ("(030) 1234567", "0301234567"),
        ("+1 415.555.0100 ext. 12", "+14155550100"),
        ("call me", "call me"),
        ("123", "123"),
        ("+49 30 12345 / +49 30 54321 office", "+49 30 12345 / +49 30 54321 office"),
    ],
)
def test_a_phone_number_becomes_plus_and_digits_or_stays(given: str, cleaned: str) -> None:
    assert clean_phone(given) == cleaned


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("🚀 Jane", "Jane"),
        ("Jane 007", "Jane"),
        ("Jean-Luc", "Jean-Luc"),
        ("O’Brien", "O’Brien"),
        ("Müller (PhD)", "Müller PhD"),
        ("J.", "J."),
        ("李", "李"),
        ("***", "***"),
        ("  anna   maria ", "anna maria"),
    ],
)
def test_a_name_loses_symbols_and_digits_but_no_letters(given: str, cleaned: str) -> None:
    assert clean_name(given) == cleaned


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("linkedin.com/in/jane-doe", "https://www.linkedin.com/in/jane-doe"),
        ("https://de.linkedin.com/in/jane-doe/?trk=abc#top", "https://www.linkedin.com/in/jane-doe"),
        ("http://www.linkedin.com/company/acme/about/", "https://www.linkedin.com/company/acme/about"),
        ("https://evil.test/linkedin.com/in/jane", "https://evil.test/linkedin.com/in/jane"),
        ("jane-doe", "jane-doe"),
    ],
)
def test_a_linkedin_address_loses_its_tracking(given: str, cleaned: str) -> None:
    assert clean_linkedin(given) == cleaned


def test_an_address_is_freed_of_what_copying_brings_along() -> None:
    assert clean_email(" mailto:Jane@acme.test\u200b ") == "Jane@acme.test"


def test_invisible_characters_and_double_spaces_go_from_every_field() -> None:
    assert clean_field("company_name", "Acme\u202e \u200b  GmbH\n& Co") == "Acme GmbH & Co"
    assert clean_field("notes", " one\ntwo\u200b ") == "one\ntwo"


def test_leads_of_one_company_share_a_domain_and_free_mail_tells_none() -> None:
    assert company_domain("mail.acme.co.uk") == "acme.co.uk"
    assert company_domain("acme.test") == "acme.test"
    assert company_domain("gmail.com") is None


def test_a_draft_has_a_canonical_address_and_only_what_was_said() -> None:
    draft = draft_lead("Jane@ACME.test", {"city": " Berlin ", "state": " "}, {"Plan": "pro", "Empty": " "}, clean=False)
    assert (draft.email, draft.company_domain) == ("jane@acme.test", "acme.test")
    assert (text_of(draft, "city"), text_of(draft, "state")) == ("Berlin", None)
    assert draft.custom_fields == {"Plan": "pro"}


@pytest.mark.parametrize(
    ("fields", "custom", "message"),
    [
        ({"timezone": "Mars/Base"}, {}, "timezone is not a time zone"),
        ({"first_name": "x" * 321}, {}, "firstName is longer than 320"),
        ({"first_name": "Jane\nDoe"}, {}, "firstName holds a line break"),
        ({"city": "Ber\x00lin"}, {}, "city holds a line break or another control"),
        ({"notes": "a\x00b"}, {}, "notes holds"),
        ({"city": "\ud800"}, {}, "city holds"),
        ({}, {"Bio": "x" * 10_001}, "custom field"),
        ({}, {"Bio": "\x07"}, "custom field"),
    ],
)
def test_what_a_field_cannot_hold_is_refused_by_name(
    fields: dict[str, str], custom: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        draft_lead("jane@acme.test", fields, custom, clean=False)


@pytest.mark.parametrize("email", ["a@ok.test]<b@evil.test>", "a@x.test, b@y.test", "", "jane", "a@b.test\r\nRCPT"])
def test_an_address_that_smuggles_is_refused_with_and_without_clean_up(email: str) -> None:
    for clean in (True, False):
        with pytest.raises(InvalidInput):
            draft_lead(email, {}, {}, clean=clean)


def test_an_object_sorts_its_keys_into_fields_and_custom_fields() -> None:
    given = read_lead_object(
        {"first_name": "Jane", "company": "Acme", "Seats": 5, "vip": True, "id": "x", "workspaceId": "y"},
        {"Plan": None},
    )
    assert given.fields == {"first_name": "Jane", "company_name": "Acme"}
    assert given.custom == {"Seats": "5", "vip": "true", "Plan": None}


def test_a_list_in_a_field_and_two_names_of_one_variable_are_refused() -> None:
    with pytest.raises(InvalidInput, match="holds text"):
        read_lead_object({"Seats": [1]}, {})
    with pytest.raises(InvalidInput, match="one variable"):
        read_lead_object({"First Pet": "a", "first_pet": "b"}, {})


def test_custom_fields_merge_under_the_name_they_have_already() -> None:
    assert merge_custom({"First Pet": "Rex", "Plan": "pro"}, {"first_pet": "Tom", "plan": None, "New": "x"}) == {
        "First Pet": "Tom",
        "New": "x",
    }


def test_of_two_drafts_the_later_one_counts_where_it_says_something() -> None:
    first = draft_lead("a@b.test", {"city": "Bonn", "country": "DE"}, {"Plan": "pro"}, ["x"], clean=False)
    later = draft_lead("a@b.test", {"city": "Köln"}, {"Seats": "5"}, ["y"], clean=False)
    merged = merge_drafts(first, later)
    assert (text_of(merged, "city"), text_of(merged, "country")) == ("Köln", "DE")
    assert merged.custom_fields == {"Plan": "pro", "Seats": "5"}
    assert merged.tags == ["x", "y"]


def test_tags_are_one_whatever_their_case_and_never_blank() -> None:
    assert lead_tags(["Hot  Lead", "hot lead", "b"]) == ["hot lead", "b"]
    with pytest.raises(InvalidInput, match="1 to 60"):
        lead_tags([" "])


def test_columns_leave_out_what_no_lead_has() -> None:
    columns = LeadColumns.of(
        [
            draft_lead("a@b.test", {"city": "Bonn"}, {}, ["x"], clean=False),
            draft_lead("c@gmail.com", {}, {"Plan": "pro"}, ["x", "y"], clean=False),
        ]
    )
    assert columns.texts == {"city": ["Bonn", None]}
    assert columns.domains == ["b.test", None]
    assert columns.tags_by_lead([1]) == {1: ["x", "y"]}
    assert columns.custom_fields(1) == {"Plan": "pro"}


@given(st.from_regex(r"\+[1-9](?:[ .\-/]?[0-9]){2,22}", fullmatch=True) | st.text("+0123456789 ()-./x", max_size=20))
def test_a_phone_number_is_the_same_by_the_short_way(text: str) -> None:
    assert mended_field("phone", text, clean=True) == clean_field("phone", text)
