"""GitHub's own descriptions of its REST and GraphQL, by which our requests are judged.

They are big and not ours: `make github-schema` fetches them.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.serve import Request

FOLDER = Path(__file__).resolve().parents[1] / "build" / "github"


def problems(requests: Iterable[Request]) -> list[str]:
    """What GitHub would not take of these requests, a line each."""
    return [f"{r.method} {r.path}: {what}" for r in requests for what in _problems(r)]


def _problems(request: Request) -> list[str]:
    path = request.path.removeprefix("/api/v3")
    if path.endswith("/graphql"):
        return _graphql(request.json)
    # By its id a repository is found under any name; what is below is the same.
    path = re.sub(r"^/repositories/\d+(?=/)", "/repos/owner/name", path)
    found = _operation(request.method.lower(), path)
    if found is None:
        return ["is no operation of GitHub's"]
    operation, in_path = found
    return [*_parameters(operation, in_path, request), *_body(operation, request)]


def wrong_in(query: str) -> list[str]:
    """What is wrong with a GraphQL document by itself."""
    from graphql import parse, validate

    return [error.message for error in validate(_schema(), parse(query))]


def _graphql(asked: dict[str, Any]) -> list[str]:
    from graphql import parse
    from graphql.execution.values import get_variable_values

    if wrong := wrong_in(asked["query"]):
        return wrong
    declared = parse(asked["query"]).definitions[0].variable_definitions  # type: ignore[attr-defined]
    given = asked.get("variables") or {}
    names = {one.variable.name.value for one in declared}
    values = get_variable_values(_schema(), declared, given)
    unfit = [error.message for error in values] if isinstance(values, list) else []
    return [*(f"${name} is not declared" for name in given if name not in names), *unfit]


def _parameters(operation: dict[str, Any], in_path: dict[str, str], request: Request) -> list[str]:
    from jsonschema import Draft202012Validator

    known = {(p["in"], p["name"]): p for p in map(_resolved, operation.get("parameters", []))}
    wrong = [f"the query has {name}" for name in request.query if ("query", name) not in known]
    for (place, name), parameter in known.items():
        values = {"path": in_path, "query": request.query}.get(place, {})
        if name not in values:
            if parameter.get("required") and place != "header":
                wrong.append(f"{name} is missing")
            continue
        schema = parameter["schema"]
        value: Any = values[name]
        if schema.get("type") == "integer" and value.isdecimal():
            value = int(value)
        wrong += [f"{name}: {e.message}" for e in Draft202012Validator(schema).iter_errors(value)]
    return wrong


def _body(operation: dict[str, Any], request: Request) -> list[str]:
    from jsonschema import Draft202012Validator

    described = operation.get("requestBody")
    if described is None:
        return [] if request.body in (b"", b"{}") else ["it takes no body"]
    schema = _inlined(described["content"]["application/json"]["schema"])
    body = request.json
    wrong = [e.message[:200] for e in Draft202012Validator(schema).iter_errors(body)]
    known = schema.get("properties")
    if known and isinstance(body, dict):
        wrong += [f"the body has {name}" for name in body if name not in known]
    return wrong


def _operation(method: str, path: str) -> tuple[dict[str, Any], dict[str, str]] | None:
    for pattern, names, methods in _paths():
        found = pattern.fullmatch(path)
        if found and method in methods:
            values = dict(zip(names, map(unquote, found.groups()), strict=True))
            return methods[method], values
    return None


@cache
def _paths() -> list[tuple[re.Pattern[str], list[str], dict[str, Any]]]:
    """Every path as a pattern, those with the fewest variables first.

    `/repositories/{id}` is GitHub's own way to a repository that was renamed; its description
    names it in the answers to moved repositories alone.
    """
    described = dict(_api()["paths"])
    described["/repositories/{repository_id}"] = {
        "get": {"parameters": [_in_path("repository_id")]}
    }
    rows = []
    for path, methods in sorted(described.items(), key=lambda pair: pair[0].count("{")):
        names = re.findall(r"\{(\w+)\}", path)
        pattern = re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(path))
        rows.append((re.compile(pattern), names, methods))
    return rows


def _in_path(name: str) -> dict[str, Any]:
    return {"in": "path", "name": name, "required": True, "schema": {"type": "integer"}}


def _resolved(value: dict[str, Any]) -> dict[str, Any]:
    """What a reference names."""
    while "$ref" in value:
        found: Any = _api()
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        value = found
    return value


def _inlined(value: Any) -> Any:
    """A schema without references; OpenAPI's `nullable` is JSON Schema's `null`."""
    if isinstance(value, list):
        return [_inlined(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _inlined(_resolved(value))
    made = {key: _inlined(one) for key, one in value.items()}
    if made.pop("nullable", False):
        if isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
        if "enum" in made and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
    return made


@cache
def _api() -> Any:
    return json.loads(_file("api.json").read_text(encoding="utf-8"))


@cache
def _schema() -> Any:
    from graphql import build_schema

    text = _file("schema.graphql").read_text(encoding="utf-8")
    # As it is published it defines a field of EnterpriseOwnerInfo twice.
    return build_schema(text, assume_valid_sdl=True, assume_valid=True)


def _file(name: str) -> Path:
    path = FOLDER / name
    if not path.exists():
        pytest.skip("needs GitHub's descriptions: make github-schema")
    return path
