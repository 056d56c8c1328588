"""A Kubernetes API that keeps objects: versions, conflicts, merge patches, refusals, lost answers.

kmock's own emulator has no resourceVersion, and that is what everything here is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kmock import RawHandler, Response

Object = dict[str, Any]
Fate = Callable[[str, str], int | None]

OVERLOADED, LOST = 503, 504
WRITES = ("POST", "PUT", "PATCH")


class FakeKubernetes:
    """The objects by path, and what is to become of the next requests.

    Attributes:
        kept: the objects, by the path that they are read at.
        asked: every request, as method and path.
        written: every write that counted, as path and object.
        fates: of the next writes: a status that is answered; 503 is not done, 504 is done and its
            answer lost, 409 is an edit by somebody else just before; None is as usual.
        refused: statuses by method, or by method and last part of the path, for all requests.
        before: called with each request before anything is done.
        after: called with each request when all is done and nothing is answered yet.
    """

    def __init__(self, kmock: RawHandler) -> None:
        self.kept: dict[str, Object] = {}
        self.asked: list[tuple[str, str]] = []
        self.written: list[tuple[str, Object]] = []
        self.fates: list[int | None] = []
        self.refused: dict[str, int] = {}
        self.retry_after: str | None = None
        self.allowed: Callable[[Object], bool] = lambda _attributes: True
        self.before: Callable[[str, str], None] = lambda _method, _path: None
        self.after: Callable[[str, str], None] = lambda _method, _path: None
        self._version = 0
        kmock << self._answer

    def put(self, path: str, **parts: Any) -> Object:  # noqa: ANN401 - JSON
        """Keep an object, as somebody else would."""
        metadata = {"name": path.rpartition("/")[2], **parts.pop("metadata", {})}
        return self._keep(path, {"metadata": metadata, **parts})

    def touch(self, path: str) -> None:
        """Give an object a new version, as somebody else would who edits it."""
        self._keep(path, self.kept[path])

    def writes(self, kind: str) -> int:
        """How many writes of such objects counted."""
        return sum(f"/{kind}/" in path for path, _ in self.written)

    def _answer(self, request: Any) -> Response:  # noqa: ANN401 - kmock's
        method, path = request.method.name, request.url.path
        self.asked.append((method, path))
        self.before(method, path)
        kind = path.split("/")[-1]
        status = self.refused.get(f"{method} {kind}", self.refused.get(method))
        found = self._refusal(status) if status else self._done(method, path, request.data)
        self.after(method, path)
        return found

    def _done(self, method: str, path: str, told: Any) -> Response:  # noqa: ANN401 - JSON
        if path.endswith("/selfsubjectaccessreviews"):
            asked = told["spec"]["resourceAttributes"]
            return _said(201, {**told, "status": {"allowed": self.allowed(asked)}})
        if method == "GET":
            found = self.kept.get(path)
            return _said(200, found) if found else self._refusal(404)
        fate = self.fates.pop(0) if self.fates else None
        if fate == 409 and path in self.kept:
            self.touch(path)
        elif fate is not None and fate != LOST:
            return self._refusal(fate)
        answer = self._write(method, path, told)
        return self._refusal(LOST) if fate == LOST else answer

    def _write(self, method: str, path: str, told: Object) -> Response:
        if method == "POST":
            path = f"{path}/{told['metadata']['name']}"
            if path in self.kept:
                return self._refusal(409)
            return self._counted(path, told, status=201)
        if path not in self.kept:
            return self._refusal(404)
        version = told.get("metadata", {}).get("resourceVersion")
        if version is not None and version != self.kept[path]["metadata"]["resourceVersion"]:
            return self._refusal(409)
        return self._counted(path, merged(self.kept[path], told) if method == "PATCH" else told)

    def _counted(self, path: str, whole: Object, *, status: int = 200) -> Response:
        kept = self._keep(path, whole)
        self.written.append((path, kept))
        return _said(status, kept)

    def _keep(self, path: str, whole: Object) -> Object:
        self._version += 1
        metadata = {**whole["metadata"], "resourceVersion": str(self._version)}
        self.kept[path] = json.loads(json.dumps({**whole, "metadata": metadata}))
        return self.kept[path]

    def _refusal(self, status: int) -> Response:
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        body = {"kind": "Status", "apiVersion": "v1", "code": status, "message": "no"}
        return Response(status=status, payload=body, headers=headers)


def merged(old: Object, new: Object) -> Object:
    """RFC 7386."""
    found = dict(old)
    for key, value in new.items():
        if isinstance(value, dict):
            found[key] = merged(found.get(key) or {}, value)
        elif value is None:
            found.pop(key, None)
        else:
            found[key] = value
    return found


def kubeconfig(folder: Path, server: str, *, token: str = "t0ken-of-the-test") -> Path:
    """A file of credentials for this server."""
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "a", "cluster": {"server": server}}],
        "users": [{"name": "a", "user": {"token": token}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    path.write_text(json.dumps(document))
    return path


def _said(status: int, body: object) -> Response:
    return Response(status=status, payload=body)
