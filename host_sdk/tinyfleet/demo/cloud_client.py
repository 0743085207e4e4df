"""What the demo asks the cloud."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from tinyfleet.cloud.audit import CloudRow, listed_row
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.errors import ProtocolError, SinkError

TIMEOUT_S = 60.0
PAGE_RECORDS = 500


class CloudClient:
    """One cloud endpoint; a context manager."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise SinkError(f"{self.url}{path} does not answer: {str(error) or type(error).__name__}", retryable=True) from error
        if response.status_code != 200:
            raise ProtocolError(f"{self.url}{path} answered {response.status_code}: {response.text[:200]}")
        return dict(response.json())

    def register_model(self, model: CompiledModel) -> None:
        """Tell the cloud the names and the scale of a model's outputs, for its page."""
        output = model.output
        message = {
            "version": 1,
            "model_id": model.model_id.hex(),
            "name": model.name,
            "labels": list(model.package.labels),
            "output_dtype": output.dtype.name.lower(),
            "output_scale": 1.0 if output.scale is None else output.scale,
            "output_zero_point": output.zero_point or 0,
        }
        self._ask("POST", "/v1/models", json=message)

    def totals(self) -> dict[str, int]:
        """Its counts: stored, redelivered, duplicated, alarms and more."""
        return {name: int(count) for name, count in self._ask("GET", "/v1/summary").items()}

    def rows(self, device_id: bytes) -> list[CloudRow]:
        """Every row of one device, in the order in which they were stored."""
        rows: list[CloudRow] = []
        after = 0
        while True:
            page = self._ask("GET", "/v1/records", params={"device": device_id.hex(), "after": after, "limit": PAGE_RECORDS})
            rows += map(listed_row, page["records"])
            if len(page["records"]) < PAGE_RECORDS:
                return rows
            after = page["next"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()
