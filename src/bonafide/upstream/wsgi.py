"""The middleware for WSGI applications behind a gate: Flask, Bottle, Pyramid, anything that is called so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from wsgiref.types import WSGIApplication

from bonafide import server_interfaces as interfaces
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.http import HttpRequest
from bonafide.problem import CONTENT_TYPE
from bonafide.proof.content_digest import verify_digest
from bonafide.reasons import request as request_reasons
from bonafide.statement import HEADER
from bonafide.upstream.entrance import ADMISSION, Entrance, present, refuse
from bonafide.upstream.sealed_wsgi import SealedWsgi, withhold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

    from bonafide.problem import Problem
    from bonafide.statement import Statement
    from bonafide.stores.body_spool import BodySpool


class BonafideWsgi(Entrance[WSGIApplication]):
    """Hand on what a gate spoke for, to the octet, and refuse everything else. See `bonafide.upstream`."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        statement = None
        try:
            token = present(interfaces.single_field_of_environ(environ, HEADER))
            statement = self.verify(token, self._read_request(environ))
            spool = None if statement.sender is None else self._read_body(environ, statement.sender.digest)
        except (MalformedEvidence, VerificationFailed) as refusal:
            problem = refuse(refusal, str(environ.get("REQUEST_METHOD", "")), statement)
            return _answer(problem, start_response)
        inner = _inner(environ, statement, spool)
        if spool is None:
            return self.app(inner, start_response)
        try:
            return _Closing(self._run(inner, statement, start_response), spool)
        except BaseException:
            spool.close()
            raise

    def _run(self, inner: WSGIEnvironment, statement: Statement, start_response: StartResponse) -> Iterable[bytes]:
        """Run the application for a request that was admitted; its answer is sealed where the gate says so."""
        if statement.answer_key is None:
            return self.app(inner, start_response)
        withhold(inner)
        sealed = SealedWsgi(statement, statement.answer_key, start_response)
        sealed.run(self.app, inner)
        return sealed

    def _read_request(self, environ: WSGIEnvironment) -> HttpRequest:
        target = interfaces.agreed_target(
            interfaces.raw_target_of_environ(environ),
            _routed(environ),
            query=environ.get("QUERY_STRING", ""),
            mounted=environ.get("SCRIPT_NAME", ""),
            mount=self.mount,
        )
        return HttpRequest(
            method=environ["REQUEST_METHOD"],
            origin=self.origins.pick(environ.get("HTTP_HOST")),
            target=target,
            headers=interfaces.headers_of_environ(environ),
        )

    def _read_body(self, environ: WSGIEnvironment, covered: str | None) -> BodySpool:
        length = interfaces.announced_length(
            environ.get("CONTENT_LENGTH") or "",
            environ.get("HTTP_TRANSFER_ENCODING"),
            decoded=bool(environ.get("wsgi.input_terminated")),
        )
        spool = self.spool(length)
        try:
            spool.fill(environ["wsgi.input"].read, length)
            if covered is not None:
                verify_digest(covered, spool.digest())
        except BaseException:
            spool.close()
            raise
        spool.rewind()
        return spool


def _routed(environ: WSGIEnvironment) -> bytes:
    """Return the octets of the path that applications decode; those that are no UTF-8 each decodes in its own way."""
    try:
        octets: bytes = environ.get("PATH_INFO", "").encode("latin-1")
        octets.decode("utf-8")
    except UnicodeError:
        raise MalformedEvidence(request_reasons.TARGET_NOT_CANONICAL, "a path that is not UTF-8") from None
    return octets


def _inner(environ: WSGIEnvironment, statement: Statement, spool: BodySpool | None) -> WSGIEnvironment:
    """Return the environment as the application sees it: no word of a gate but the one that was verified."""
    inner = dict(environ)
    for key in interfaces.claims_in_environ(environ):
        del inner[key]
    inner[ADMISSION] = statement
    if spool is not None:
        inner["wsgi.input"] = spool.file
        inner["wsgi.input_terminated"] = True
        inner["CONTENT_LENGTH"] = str(spool.size)
        inner.pop("HTTP_TRANSFER_ENCODING", None)  # what is read now is not in chunks
    return inner


def _answer(problem: Problem, start_response: StartResponse) -> list[bytes]:
    body = problem.document()
    fields = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body))), *problem.fields().items()]
    start_response(f"{problem.status} {problem.title}", fields)
    return [body]


class _Closing:
    """An answer after which the spool is given back: a streamed one may still read from it."""

    def __init__(self, answer: Iterable[bytes], spool: BodySpool) -> None:
        self._answer = answer
        self._spool = spool

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        try:
            close: Any = getattr(self._answer, "close", None)
            if close is not None:
                close()
        finally:
            self._spool.close()
