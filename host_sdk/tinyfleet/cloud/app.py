"""The HTTP interface of the cloud, version 1: ``docs/spec/rest.md``."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import importlib.resources
import logging
import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from tinyfleet import __version__
from tinyfleet.cloud.intake import take_batch, take_events
from tinyfleet.cloud.messages import BatchMessage, DeviceIdHex, GatewayId, ModelMessage
from tinyfleet.cloud.store import CloudStore, StoredRecord
from tinyfleet.cloud_events import Encoding
from tinyfleet.telemetry import TELEMETRY_VERSION, OutputMeaning, format_utc
from tinyfleet_codegen.errors import ConfigError, StoreError
from tinyfleet_codegen.wire.record import decode_record

log = logging.getLogger(__name__)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

JSON_TYPE = "application/json"
_EVENT_ENCODINGS = {encoding.batch_type: encoding for encoding in Encoding}
MAX_BODY_BYTES = 4 * 2**20
"""Largest body of a request, packed or unpacked; a full batch of the largest records is cut smaller by the gateway."""
BODY_TIMEOUT_S = 30.0
"""Time in which a body must be there."""
RETRY_AFTER_S = 10
"""What a gateway is asked to wait when the disk is full."""


def create_app(store: CloudStore, *, token: str | None = None) -> FastAPI:
    """The application on one store.

    Args:
        store: Used from one thread of the application only, from now on.
        token: Every ``/v1`` request must carry it as bearer token; None asks for none.
    """
    app = FastAPI(title="tinyfleet cloud", version=__version__, docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    # One thread: SQLite has one writer, and an order of commits that is the order of answers.
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cloud-store")

    async def call(work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, work)

    def authorize(request: Request) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token is not None and not hmac.compare_digest(given.encode(), token.encode()):
            raise HTTPException(401, "a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})

    guarded = [Depends(authorize)]

    @app.post("/v1/records", dependencies=guarded)
    async def post_records(request: Request, gateway: GatewayId | None = None) -> JSONResponse:
        kind, body = await _read_body(request, (JSON_TYPE, *_EVENT_ENCODINGS))
        if kind == JSON_TYPE:
            return JSONResponse(*await take_batch(store, call, _checked(body, BatchMessage)))
        return JSONResponse(*await take_events(store, call, body, _EVENT_ENCODINGS[kind], gateway))

    @app.get("/v1/summary", dependencies=guarded)
    async def get_summary() -> dict[str, Any]:
        return {"version": TELEMETRY_VERSION, **await call(store.totals)}

    @app.get("/v1/devices", dependencies=guarded)
    async def get_devices() -> dict[str, Any]:
        rows = await call(store.devices)
        return {"version": TELEMETRY_VERSION, "devices": [{**asdict(row), "device_id": row.device_id.hex()} for row in rows]}

    @app.get("/v1/records", dependencies=guarded)
    async def get_records(
        device: DeviceIdHex | None = None,
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        last: Annotated[int | None, Query(ge=1, le=1000)] = None,
        limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    ) -> dict[str, Any]:
        device_id = None if device is None else bytes.fromhex(device)

        def read() -> tuple[list[StoredRecord], dict[bytes, OutputMeaning]]:
            if last is not None:
                return store.last_records(device_id=device_id, limit=last), store.models()
            return store.records(device_id=device_id, after=after, limit=limit), store.models()

        rows, models = await call(read)
        return {"version": TELEMETRY_VERSION, "records": [_shown(row, models) for row in rows], "next": rows[-1].id if rows else after}

    @app.get("/v1/derived", dependencies=guarded)
    async def get_derived(
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0, limit: Annotated[int, Query(ge=1, le=5000)] = 500
    ) -> dict[str, Any]:
        rows = await call(lambda: store.derived(after=after, limit=limit))
        return {
            "version": TELEMETRY_VERSION,
            "derived": [
                row.envelope.to_json()
                | {"id": row.id, "gateway_id": row.envelope.gateway_id, "outbox_id": row.envelope.outbox_id.hex()}
                | {"received_utc": format_utc(row.received_utc_us)}
                for row in rows
            ],
            "next": rows[-1].id if rows else after,
        }

    @app.get("/v1/alarms", dependencies=guarded)
    async def get_alarms() -> dict[str, Any]:
        rows = await call(store.alarms)
        return {
            "version": TELEMETRY_VERSION,
            "alarms": [
                {
                    "device_id": identity.device_id.hex(),
                    "boot_id": identity.boot_id,
                    "seq": identity.seq,
                    "record": base64.b64encode(record).decode(),
                    "gateway_id": gateway_id,
                    "received_utc": format_utc(received_utc_us),
                }
                for identity, record, gateway_id, received_utc_us in rows
            ],
        }

    @app.post("/v1/models", dependencies=guarded)
    async def post_model(request: Request) -> dict[str, Any]:
        model = await _read_message(request, ModelMessage)
        try:
            await call(lambda: store.register_model(bytes.fromhex(model.model_id), model.meaning()))
        except ConfigError as error:
            raise HTTPException(409, str(error)) from error
        return {"version": TELEMETRY_VERSION, "model_id": model.model_id}

    @app.get("/v1/models", dependencies=guarded)
    async def get_models() -> dict[str, Any]:
        models = await call(store.models)
        listed = [{"model_id": model_id.hex(), "name": m.name, "labels": list(m.labels)} for model_id, m in models.items()]
        return {"version": TELEMETRY_VERSION, "models": listed}

    page, page_headers = _page()

    @app.get("/", include_in_schema=False)
    async def get_page() -> Response:
        return Response(page, media_type="text/html", headers=page_headers)

    app.exception_handler(HTTPException)(_answer_http_error)
    app.exception_handler(404)(_answer_http_error)
    app.exception_handler(405)(_answer_http_error)
    app.exception_handler(RequestValidationError)(_answer_validation_error)
    app.exception_handler(StoreError)(_answer_store_error)
    return app


async def _read_message(request: Request, kind: type[M]) -> M:
    """A request's body as a message."""
    return _checked((await _read_body(request, (JSON_TYPE,)))[1], kind)


def _checked(body: bytes, kind: type[M]) -> M:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise HTTPException(422, f"{where}: {first['msg']}") from error


async def _read_body(request: Request, allowed: tuple[str, ...]) -> tuple[str, bytes]:
    """Type and body of a request, unpacked, with a bound on its size and on the time that it takes."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type not in allowed:
        # It also keeps foreign web pages out: they cannot send these types without asking first.
        raise HTTPException(415, f"the body must be {' or '.join(allowed)}")
    packing = request.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip"):
        raise HTTPException(415, "the body must be packed with gzip, or not packed")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise HTTPException(413, f"a body may have {MAX_BODY_BYTES} bytes", headers={"Connection": "close"})
    except TimeoutError as error:
        raise HTTPException(408, f"the body took more than {BODY_TIMEOUT_S:.0f} s", headers={"Connection": "close"}) from error
    return content_type, _unpacked(bytes(body)) if packing == "gzip" else bytes(body)


def _unpacked(body: bytes) -> bytes:
    """Undo gzip, up to the limit of a body."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        data = inflate.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise HTTPException(400, f"the body is not gzip: {error}") from error
    if len(data) > MAX_BODY_BYTES:
        raise HTTPException(413, f"a body may have {MAX_BODY_BYTES} bytes, unpacked too", headers={"Connection": "close"})
    if not inflate.eof:
        raise HTTPException(400, "the body is cut short")
    return data


def _shown(row: StoredRecord, models: dict[bytes, OutputMeaning]) -> dict[str, Any]:
    """One row for programs and for the page: the envelope, and what its record says."""
    e = row.envelope
    record = decode_record(e.record)
    meaning = models.get(e.model_id) if e.model_id is not None else None
    shown = e.to_json() | {
        "id": row.id,
        "gateway_id": e.gateway_id,
        "received_utc": format_utc(row.received_utc_us),
        "stream": record.stream,
        "sample_index": record.sample_index,
        "latency_us": record.latency_us,
        "uptime_us": record.uptime_us,
        "top": record.top,
        "model": None if meaning is None else meaning.name,
        "label": None if meaning is None else meaning.label(record.top),
        "scores": None if meaning is None else meaning.scores(record),
    }
    return shown


def _page() -> tuple[bytes, dict[str, str]]:
    """The live page, and headers that let it run its own script and nothing else."""
    page = importlib.resources.files("tinyfleet.cloud").joinpath("page.html").read_bytes()
    digests = {
        tag: base64.b64encode(hashlib.sha256(re.search(rf"<{tag}>(.*?)</{tag}>".encode(), page, re.DOTALL)[1]).digest()).decode()  # type: ignore[index]
        for tag in ("script", "style")
    }
    policy = (
        f"default-src 'none'; script-src 'sha256-{digests['script']}'; style-src 'sha256-{digests['style']}';"
        " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"version": TELEMETRY_VERSION, "error": message}, status_code=status, headers=headers)


async def _answer_http_error(_request: Request, error: Exception) -> Response:
    status, detail = getattr(error, "status_code", 500), getattr(error, "detail", str(error))
    return _error(status, str(detail), dict(getattr(error, "headers", None) or {}))


async def _answer_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _error(422, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")


async def _answer_store_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    log.error("store failed error=%s hint=%s", error, error.hint)
    is_full = "full" in str(error) or "I/O" in str(error)
    return _error(
        507 if is_full else 503, "the store of the cloud failed; nothing of the request was stored", {"Retry-After": str(RETRY_AFTER_S)}
    )
