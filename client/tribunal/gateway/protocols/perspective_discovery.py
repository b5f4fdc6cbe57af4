"""The discovery document of Perspective's API, from which Google's client libraries build their methods."""

from typing import Any

NAME, VERSION = "commentanalyzer", "v1alpha1"


def discovery_document(root_url: str) -> dict[str, Any]:
    """A discovery document in Google's format. root_url: address of this gateway, with a slash at its end."""
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": f"{NAME}:{VERSION}",
        "name": NAME,
        "version": VERSION,
        "title": "Tribunal's answer to Perspective API",
        "description": "Scores of comments by Tribunal, in the protocol of Perspective API.",
        "protocol": "rest",
        "rootUrl": root_url,
        "servicePath": "",
        "baseUrl": root_url,
        "batchPath": "batch",
        "parameters": {
            "key": {"type": "string", "location": "query", "description": "A key of this gateway."},
            "alt": {"type": "string", "location": "query", "enum": ["json"], "default": "json"},
        },
        "schemas": {name: _object(name, properties) for name, properties in _SCHEMAS.items()},
        "resources": {
            "comments": {
                "methods": {
                    "analyze": {
                        "id": f"{NAME}.comments.analyze",
                        "path": f"{VERSION}/comments:analyze",
                        "flatPath": f"{VERSION}/comments:analyze",
                        "httpMethod": "POST",
                        "description": "Scores a comment on the requested attributes.",
                        "parameters": {},
                        "parameterOrder": [],
                        "request": {"$ref": "AnalyzeCommentRequest"},
                        "response": {"$ref": "AnalyzeCommentResponse"},
                    }
                }
            }
        },
    }


def _object(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": "object", "properties": properties}


def _list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _map_to(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": value}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": name}


_STRING: dict[str, Any] = {"type": "string"}
_BOOLEAN: dict[str, Any] = {"type": "boolean"}
_FLOAT: dict[str, Any] = {"type": "number", "format": "float"}
_INTEGER: dict[str, Any] = {"type": "integer", "format": "int32"}

_SCHEMAS: dict[str, dict[str, Any]] = {
    "AnalyzeCommentRequest": {
        "comment": _ref("TextEntry"),
        "requestedAttributes": _map_to(_ref("AttributeParameters")),
        "languages": _list_of(_STRING),
        "spanAnnotations": _BOOLEAN,
        "doNotStore": _BOOLEAN,
        "clientToken": _STRING,
        "sessionId": _STRING,
        "communityId": _STRING,
        "context": {"type": "object"},
    },
    "AnalyzeCommentResponse": {
        "attributeScores": _map_to(_ref("AttributeScores")),
        "languages": _list_of(_STRING),
        "detectedLanguages": _list_of(_STRING),
        "clientToken": _STRING,
    },
    "AttributeParameters": {"scoreType": _STRING, "scoreThreshold": _FLOAT},
    "AttributeScores": {"summaryScore": _ref("Score"), "spanScores": _list_of(_ref("SpanScore"))},
    "Score": {"value": _FLOAT, "type": _STRING},
    "SpanScore": {"begin": _INTEGER, "end": _INTEGER, "score": _ref("Score")},
    "TextEntry": {"text": _STRING, "type": _STRING},
}
