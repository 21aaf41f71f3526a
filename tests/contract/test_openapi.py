"""/openapi.json: every operation once, nothing that leads nowhere, and schemas that fit what is sent."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postrider.catalogue import load_catalogue
from postrider.doors.rest.openapi import write_openapi
from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.contract.rest_world import rest_client, sample_catalogue

Document = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def samples() -> Document:
    return write_openapi(sample_catalogue(), None)


@pytest.fixture
def real() -> Document:
    return write_openapi(load_catalogue(), "https://out.example.com")


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield path, method, operation


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def look_up(document: Document, reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_every_operation_is_there_exactly_once(real: Document) -> None:
    listed = [operation["operationId"] for _, _, operation in operations(real)]
    assert sorted(listed) == sorted(operation.name for operation in load_catalogue())
    for path, method, operation in operations(real):
        declared = load_catalogue().find(operation["operationId"])
        assert declared is not None and (declared.rest.path, declared.rest.method.lower()) == (path, method)


def test_every_list_answers_an_array_as_data(real: Document) -> None:
    lists = [operation for _, _, operation in operations(real) if operation["operationId"].startswith("list_")]
    assert len(lists) > 8
    for operation in lists:
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer["properties"]["data"]["type"] == "array", operation["operationId"]
        assert "pagination" in answer["properties"], operation["operationId"]


def test_every_reference_leads_somewhere(real: Document, samples: Document) -> None:
    for document in (real, samples):
        found = list(references(document))
        assert found
        for reference in found:
            assert isinstance(look_up(document, reference), dict)


def test_path_parameters_are_those_of_the_path(real: Document, samples: Document) -> None:
    for document in (real, samples):
        for path, _, operation in operations(document):
            declared = [each["name"] for each in operation["parameters"] if each.get("in") == "path"]
            assert declared == re.findall(r"{(\w+)}", path)


def test_every_operation_says_how_it_succeeds_fails_and_is_called(real: Document) -> None:
    assert real["openapi"] == "3.1.0" and real["security"] == [{"apiKey": []}, {"bearer": []}]
    for _, _, operation in operations(real):
        assert operation["summary"] and operation["description"] and operation["tags"]
        assert {"400", "401", "403", "404", "429", "500"} <= set(operation["responses"])
        assert any(status.startswith("20") for status in operation["responses"])
    assert real["servers"] == [{"url": "https://out.example.com"}]


def test_names_are_in_camel_case(samples: Document) -> None:
    for schema in samples["components"]["schemas"].values():
        for name in schema.get("properties", {}):
            assert re.fullmatch(r"_id|[a-z][a-zA-Z0-9]*", name)


def test_reads_take_a_query_and_writes_a_body(samples: Document) -> None:
    listing = samples["paths"]["/v1/things"]["get"]
    query = {each["name"]: each for each in listing["parameters"] if each.get("in") == "query"}
    assert {"limit", "cursor", "page", "tags", "active", "filters"} <= set(query)
    assert query["tags"]["explode"] is False and "requestBody" not in listing
    change = samples["paths"]["/v1/things/{id}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(change["properties"]) == {"name", "customFields", "filters"} and change["required"] == []


def test_a_file_is_described_as_multipart(samples: Document) -> None:
    upload = samples["paths"]["/v1/things/import/csv"]["post"]
    assert upload["x-postrider-aliases"] == ["/v1/things/import-csv"]
    form = upload["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["file"]["contentMediaType"] == "application/octet-stream"


def answer_schema(document: Document, path: str, method: str, status: str) -> Document:
    schema: Document = document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    return schema


def fits(document: Document, schema: Document, value: Any) -> bool:
    """Whether ``value`` has the properties that ``schema`` requires, and no others, all the way down."""
    if "$ref" in schema:
        return fits(document, look_up(document, schema["$ref"]), value)
    if "anyOf" in schema:
        return any(fits(document, choice, value) for choice in schema["anyOf"])
    if isinstance(value, list):
        return schema.get("type") == "array" and all(fits(document, schema["items"], item) for item in value)
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return set(schema.get("required", [])) <= set(value) <= set(known) and all(
            fits(document, known[name], item) for name, item in value.items()
        )
    types = schema.get("type", [])
    return value is not None or "null" in (types if isinstance(types, list) else [types])


async def test_the_document_is_served_to_anyone(samples: Document, installation: Installation) -> None:
    async with rest_client(installation) as client:
        assert (await client.get("/openapi.json", headers={"X-Api-Key": ""})).json() == samples


async def test_what_is_sent_is_what_is_written(samples: Document, installation: Installation) -> None:
    async with rest_client(installation) as client:
        thing = (await client.post("/v1/things", json={"id": "t"})).json()
        things = (await client.get("/v1/things")).json()
        tags = (await client.get("/v1/tags")).json()
    assert fits(samples, answer_schema(samples, "/v1/things", "post", "201"), thing)
    assert fits(samples, answer_schema(samples, "/v1/things", "get", "200"), things)
    assert fits(samples, answer_schema(samples, "/v1/tags", "get", "200"), tags)
    assert "_id" in thing["data"] and not fits(samples, answer_schema(samples, "/v1/tags", "get", "200"), thing)
