"""The OpenAPI description of the API; a test holds it to the routes."""

from __future__ import annotations

from typing import Any, get_args

from animate.verification.names import SCHEMA, Verdict

FILE = {"type": "string", "format": "binary"}
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
NUMBER = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}


def description(version: str, whole: bool) -> dict[str, Any]:
    """The API as an OpenAPI 3.1 document; without `whole`, of the detector alone."""
    paths = {**_about(), **(_whole() if whole else {})}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "animate",
            "version": version,
            "description": "Animate portraits, and verify animated files. Where the server asks "
            "for a token, send `Authorization: Bearer TOKEN`. See docs/page.md.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}, "busy": {"type": "boolean"}},
                },
                "Report": _report(),
                **({"Job": _job()} if whole else {}),
            }
        },
    }


def _about() -> dict[str, Any]:
    return {
        "/api/health": {"get": _answers("whether the server is ready, its limits and its queue")},
        "/api/openapi.json": {"get": _answers("this description")},
        "/api/verify": {
            "post": {
                **_answers(
                    "the reports, as `animate verify --json` prints them; nothing is stored",
                    {
                        "type": "object",
                        "properties": {
                            "schema": {"const": SCHEMA},
                            "files": {"type": "array", "items": _ref("Report")},
                            "unreadable": {"type": "integer"},
                        },
                    },
                    413, 422, 503,
                ),
                "requestBody": _multipart(
                    {
                        "file": {"type": "array", "items": FILE, "maxItems": 10},
                        "evidence": {"enum": ["true", "false"]},
                    },
                    "file",
                ),
            }
        },
    }  # fmt: skip


def _whole() -> dict[str, Any]:
    job = _ref("Job")
    photos = {"type": "array", "items": FILE, "maxItems": 9}
    return {
        "/api/settings": {"get": _answers("the settings of an animation, by group")},
        "/api/examples": {"get": _answers("the names of the example files")},
        "/api/examples/{name}": {"parameters": [NAME], "get": _sends("an example", 404)},
        "/api/faces": {
            "post": {
                **_answers("the faces in a photo, from the left", None, 413, 422, 503),
                "requestBody": _multipart({"photo": FILE}, "photo"),
            }
        },
        "/api/animate": {
            "post": {
                "summary": "put an animation into the queue; several photos move in step as tiles",
                "requestBody": _multipart(
                    {
                        "photo": photos,
                        "clip": FILE,
                        "settings": {
                            "type": "string",
                            "description": 'JSON by key, such as {"retarget.mouth": 1.3}',
                        },
                    },
                    "photo",
                    "clip",
                ),
                "responses": {"202": _json("the animation", job), **_errors(413, 422, 503)},
            }
        },
        "/api/animate/{id}": {
            "parameters": [ID],
            "get": _answers("the state of an animation", job, 404),
            "delete": {
                "summary": "stop an animation and delete its files",
                "responses": {"204": {"description": "done"}, **_errors(404)},
            },
        },
        "/api/animate/{id}/preview": {
            "parameters": [ID],
            "get": _sends("the newest frame, marked, as a JPEG", 404),
        },
        "/api/animate/{id}/result": {
            "parameters": [ID],
            "get": _sends("the published file", 404),
        },
        "/api/animate/{id}/photos/{number}": {
            "parameters": [ID, NUMBER],
            "get": _sends("a photo as it was sent, counted from 1", 404, 415),
        },
        "/api/animate/{id}/clip": {
            "parameters": [ID],
            "get": _sends("the driver as it was sent", 404, 415),
        },
    }


def _report() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "docs/verify-json.md has every name",
        "required": ["path", "verdict"],
        "properties": {
            "path": {"type": "string", "description": "the name that was sent"},
            "verdict": {
                "enum": [*get_args(Verdict), "unreadable"],
            },
            "words": {"type": "string", "description": "the report as a paragraph"},
            "evidence": {"type": "string", "description": "a drawing, as a data URL"},
            "error": {"type": "string"},
        },
    }


def _job() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "number"}
    maybe = {"type": ["number", "null"]}
    return {
        "type": "object",
        "required": ["id", "state"],
        "properties": {
            "id": {**text, "description": "whoever knows it may see and delete the animation"},
            "state": {"enum": ["waiting", "working", "done", "failed"]},
            "stage": {"enum": ["", "preparing", "animating", "verifying"]},
            "before": {**number, "description": "animations that are done first"},
            "photos": {"type": "array", "items": text},
            "clip": {"type": ["string", "null"]},
            "settings": {"type": "object"},
            "command": {"type": ["string", "null"]},
            "done": {**number, "description": "frames"},
            "total": maybe,
            "left": {**maybe, "description": "seconds"},
            "preview": {**number, "description": "the number of the frame in the preview; 0: none"},
            "notes": {"type": "array", "items": text},
            "error": {"type": ["string", "null"]},
            "result": {
                "type": ["object", "null"],
                "properties": {
                    "name": text, "frames": number, "words": text, "report": _ref("Report"),
                },
            },
            "made": {**number, "description": "seconds since 1970"},
            "deleted": {**number, "description": "when its files are deleted"},
        },
    }  # fmt: skip


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(about: str, schema: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "description": about,
        "content": {"application/json": {"schema": schema or {"type": "object"}}},
    }


def _answers(about: str, schema: dict[str, Any] | None = None, *errors: int) -> dict[str, Any]:
    return {"summary": about, "responses": {"200": _json(about, schema), **_errors(*errors)}}


def _sends(about: str, *errors: int) -> dict[str, Any]:
    content = {"application/octet-stream": {"schema": FILE}}
    found = {"description": about, "content": content}
    return {"summary": about, "responses": {"200": found, **_errors(*errors)}}


def _errors(*codes: int) -> dict[str, Any]:
    words = {
        404: "there is none",
        413: "too large",
        415: "of a kind that browsers don't show",
        422: "refused: `error` says why, and what to do",
        503: "busy: come again after Retry-After seconds",
    }
    return {str(code): _json(words[code], _ref("Error")) for code in codes}


def _multipart(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
