"""From a file to batches."""

import io

from postrider.leads.intake import Batch, open_intake


def batches(
    text: str, *, clean: bool = True, merge: bool = False, tag: str | None = None, rows: int = 100
) -> list[Batch]:
    return list(open_intake(io.BytesIO(text.encode()), None, clean=clean, merge=merge, tag=tag, rows=rows).batches)


def test_rows_become_leads_and_bad_rows_become_errors_with_their_numbers() -> None:
    (batch,) = batches("email,Name,Plan\nA@B.test,Jane van Dyk,pro\nnobody,x,y\nc@d.test\ne@f.test,x,y,z\n")
    assert batch.leads.emails == ["a@b.test", "c@d.test"]
    assert (batch.leads.texts["first_name"], batch.leads.texts["last_name"]) == (["Jane", None], ["van Dyk", None])
    assert [error.email for error in batch.errors] == ["nobody", "e@f.test"]
    assert batch.errors[0].error.startswith("Row 3: email is not a valid email address")
    assert batch.errors[1].error == "Row 5: The row has 4 cells, the header has 3."
    assert batch.rows == 4


def test_a_repeated_address_is_left_out_or_merged() -> None:
    text = "email,city,country\na@b.test,Bonn,\nA@B.TEST,Köln,DE\n"
    (left_out,) = batches(text)
    assert (left_out.leads.texts, left_out.repeated) == ({"city": ["Bonn"]}, 1)
    (merged,) = batches(text, merge=True)
    assert (merged.leads.texts, merged.repeated) == ({"city": ["Köln"], "country": ["DE"]}, 1)


def test_tags_come_from_the_row_and_from_the_import() -> None:
    (batch,) = batches("email,tags\na@b.test,hot; new\nc@d.test,\n", tag="Fair 2026")
    assert batch.leads.tags == {"Fair 2026": [0, 1], "hot": [0], "new": [0]}


def test_a_batch_ends_with_its_number_of_rows_or_with_much_text() -> None:
    text = "email,note\n" + "".join(f"p{n}@b.test,x\n" for n in range(25))
    assert [batch.rows for batch in batches(text, rows=10)] == [10, 10, 5]
    long = "email,notes\n" + "".join(f"p{n}@b.test,{'x' * 9_000}\n" for n in range(50))
    found = batches(long, rows=1_000)
    assert sum(batch.rows for batch in found) == 50
    assert len(found) > 1


def test_a_batch_survives_being_kept() -> None:
    (batch,) = batches("email,Plan,tags\na@b.test,„pro“,x\nbad,1,2\nA@b.test,2,3\n")
    assert Batch.from_bytes(batch.to_bytes()) == batch


def test_without_clean_up_only_outer_spaces_go() -> None:
    (batch,) = batches("email,first name,phone\n a@b.test , 🚀 Jane ,+49 30 12345\n", clean=False)
    assert batch.leads.texts == {"first_name": ["🚀 Jane"], "phone": ["+49 30 12345"]}
