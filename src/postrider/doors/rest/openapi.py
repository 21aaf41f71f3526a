"""/openapi.json: OpenAPI 3.1, written from the catalogue."""

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from postrider.catalogue import Catalogue
from postrider.doors.rest.headers import IDEMPOTENCY_KEY, IGNORED_HEADER, REPLAYED_HEADER, REQUEST_ID, UNDO_HEADER
from postrider.doors.rest.pages import PAGE_FIELDS, is_list
from postrider.kernel.operation import CONFIRM_TOKEN, CONFIRM_TOKEN_SCHEMA, Effect, Operation

Schema = dict[str, Any]
_REF: Final = "#/components/schemas/"
_ERRORS: Final = {
    400: "A field does not fit, or the request is malformed.",
    401: "No credential, or one that is not valid.",
    403: "The credential lacks the scope or the role.",
    404: "Absent, or in another workspace.",
    409: "The present state forbids it, or a confirmation is needed.",
    413: "The body is too large.",
    429: "Too much or too fast; see Retry-After.",
    500: "A bug here; details.incident names the entry in the log.",
    502: "A mail server or provider failed.",
}
_HEADERS: Final = {
    "workspace": {
        "name": "X-Workspace-Id",
        "in": "header",
        "required": False,
        "description": "Which workspace a platform key means; not needed with a workspace key.",
        "schema": {"type": "string"},
    },
    "once": {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "required": False,
        "description": "Repetitions of the call with this key, within 24 hours, change nothing and get its answer.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "request": {
        "name": REQUEST_ID,
        "in": "header",
        "required": False,
        "description": "Your own name for the request, for the audit log; made up if it is missing.",
        "schema": {"type": "string", "maxLength": 100},
    },
}
_ALWAYS: Final = (400, 401, 403, 404, 409, 429, 500)


_SAID: Final = (
    (IGNORED_HEADER, "Fields that were not used."),
    (REPLAYED_HEADER, "true: this is the answer of an earlier call with the same key."),
    (UNDO_HEADER, "What undo_operation takes, within 24 hours."),
)


def write_openapi(catalogue: Catalogue, server_url: str | None) -> Schema:
    """The document for every operation of ``catalogue``; ``server_url`` is the public address, if there is one."""
    writer = _Writer(list(catalogue))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postrider",
            "version": version("postrider"),
            "description": "Cold-email outreach: every operation of this installation, at /v1. "
            "Unknown fields are ignored and named in the header " + IGNORED_HEADER + ".",
        },
        "servers": [{"url": server_url or "/"}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "tags": [{"name": feature} for feature in dict.fromkeys(operation.feature for operation in catalogue)],
        "paths": writer.paths(),
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "bearer": {"type": "http", "scheme": "bearer", "description": "The same key as a bearer token."},
            },
            "parameters": _HEADERS,
            "responses": {f"error{status}": _error_response(status) for status in _ERRORS},
            "schemas": {**writer.schemas, **_envelope_schemas()},
        },
    }


class _Writer:
    """Writes paths over one set of component schemas."""

    def __init__(self, operations: list[Operation]) -> None:
        self._operations = operations
        models = {(model, mode): None for operation in operations for model, mode in _models(operation)}
        self._roots, generated = models_json_schema(list(models), by_alias=True, ref_template=_REF + "{model}")
        self.schemas: Schema = generated.get("$defs", {})
        for schema in self.schemas.values():
            _open(schema)
        self._add_underscore_ids()

    def paths(self) -> Schema:
        """Each operation once, at its main path."""
        paths: Schema = {}
        for operation in self._operations:
            paths.setdefault(operation.rest.path, {})[operation.rest.method.lower()] = self._operation(operation)
        return dict(sorted(paths.items()))

    def _operation(self, operation: Operation) -> Schema:
        given = self._resolve(self._roots[operation.input, "validation"])
        in_path = [part.strip("{}") for part in operation.rest.path.split("/") if part.startswith("{")]
        rest = {name: schema for name, schema in given.get("properties", {}).items() if name not in in_path}
        if operation.confirm is not None:
            rest[CONFIRM_TOKEN] = CONFIRM_TOKEN_SCHEMA
        written: Schema = {
            "operationId": operation.name,
            "summary": operation.title,
            "description": operation.description,
            "tags": [operation.feature],
            "x-postrider-scope": operation.scope,
            "parameters": [
                {"$ref": "#/components/parameters/workspace"},
                *(_path_parameter(name, given["properties"][name]) for name in in_path),
            ],
        }
        if operation.effect is not Effect.READ:
            written["parameters"] += [{"$ref": f"#/components/parameters/{name}"} for name in ("once", "request")]
        if operation.rest.aliases:
            written["x-postrider-aliases"] = list(operation.rest.aliases)
        required = [name for name in given.get("required", []) if name in rest]
        if operation.rest.method == "GET":
            written["parameters"] += [self._query_parameter(name, rest[name], name in required) for name in rest]
        elif rest or operation.rest.file_field:
            written["requestBody"] = _request_body(operation, rest, required)
        written["responses"] = self._responses(operation)
        return written

    def _query_parameter(self, name: str, schema: Schema, required: bool) -> Schema:
        parameter: Schema = {"name": name, "in": "query", "required": required, "schema": schema}
        if "array" in (self._resolve(part).get("type") for part in (schema, *schema.get("anyOf", []))):
            parameter |= {"style": "form", "explode": False}
        return parameter

    def _responses(self, operation: Operation) -> Schema:
        headers = {name: {"description": words, "schema": {"type": "string"}} for name, words in _SAID[:1]}
        if operation.effect is not Effect.READ:
            headers = {name: {"description": words, "schema": {"type": "string"}} for name, words in _SAID}
        content = {"application/json": {"schema": self._envelope(operation)}}
        responses: Schema = {
            str(operation.rest.status): {"description": "Done.", "headers": headers, "content": content}
        }
        if operation.rest.waits_for_job:
            pending = _object({"success": {"const": True}, "data": {"type": "object"}})
            responses["202"] = {
                "description": "The job is still running; ask get_job for it.",
                "content": {"application/json": {"schema": pending}},
            }
        statuses = list(_ALWAYS)
        statuses += [413] if operation.rest.method != "GET" else []
        statuses += [502] if operation.open_world else []
        return responses | {
            str(status): {"$ref": f"#/components/responses/error{status}"} for status in sorted(statuses)
        }

    def _envelope(self, operation: Operation) -> Schema:
        output = self._roots[operation.output, "serialization"]
        if operation.rest.waits_for_job:
            data: Schema = {"type": "object", "description": "The result of the finished job."}
            return _object({"success": {"const": True}, "data": data})
        if not is_list(operation.output):
            return _object({"success": {"const": True}, "data": output})
        fields = self._resolve(output)["properties"]
        beside = {name: schema for name, schema in fields.items() if name not in PAGE_FIELDS}
        pagination = {"$ref": _REF + "Pagination"}
        return _object({"success": {"const": True}, "data": fields["items"], "pagination": pagination, **beside})

    def _resolve(self, schema: Schema) -> Schema:
        reference = schema.get("$ref")
        return self.schemas[reference.removeprefix(_REF)] if reference else schema

    def _add_underscore_ids(self) -> None:
        """What /v1 adds to objects with an id, in every schema that an output can reach."""
        waiting = [self._roots[operation.output, "serialization"] for operation in self._operations]
        seen: set[str] = set()
        while waiting:
            for name in _references(waiting.pop()):
                if name in seen:
                    continue
                seen.add(name)
                schema = self.schemas[name]
                waiting.append(schema)
                if "id" in schema.get("properties", {}):
                    schema["properties"]["_id"] = {"type": "string", "description": "The same as id."}


def _models(operation: Operation) -> Iterator[tuple[Any, Any]]:
    yield operation.input, "validation"
    yield operation.output, "serialization"


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REF)
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _open(schema: Any) -> None:
    """Takes out what forbids further fields: /v1 ignores them."""
    if isinstance(schema, dict):
        if schema.get("additionalProperties") is False:
            del schema["additionalProperties"]
        for part in schema.values():
            _open(part)
    elif isinstance(schema, list):
        for part in schema:
            _open(part)


def _object(properties: Schema, required: Iterable[str] | None = None) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties if required is None else required)}


def _path_parameter(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _request_body(operation: Operation, properties: Schema, required: list[str]) -> Schema:
    content: Schema = {"application/json": {"schema": _object(properties, required)}}
    if operation.rest.file_field:
        file = {operation.rest.file_field: {"type": "string", "contentMediaType": "application/octet-stream"}}
        content["multipart/form-data"] = {"schema": _object(properties | file, [operation.rest.file_field])}
    return {"required": bool(required), "content": content}


def _error_response(status: int) -> Schema:
    response: Schema = {
        "description": _ERRORS[status],
        "content": {"application/json": {"schema": {"$ref": _REF + "Error"}}},
    }
    if status == 429:
        response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return response


def _envelope_schemas() -> Schema:
    number, text = {"type": "integer"}, {"type": "string"}
    error = _object({"code": text, "message": text, "hint": text, "details": {"type": "object"}}, ["code", "message"])
    return {
        "Error": _object({"success": {"const": False}, "error": error}),
        "Pagination": _object(
            {
                "page": {"type": ["integer", "null"], "description": "Null when a cursor was given."},
                "limit": number,
                "total": number,
                "pages": number,
                "hasMore": {"type": "boolean"},
                "nextCursor": {"type": ["string", "null"]},
            }
        ),
    }
