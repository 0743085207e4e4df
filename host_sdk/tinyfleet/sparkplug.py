"""Sparkplug B payloads, written from the specification (Eclipse Sparkplug 3.0, section 6.4): the fields that telemetry needs.

The schema is made here, in Python, so that no generated file and no compiler is needed::

    payload = Payload(timestamp=now_ms, seq=0)
    add_metric(payload, "Seq", DataType.UINT32, 7, timestamp_ms=now_ms)
    data = payload.SerializeToString()
"""

from __future__ import annotations

import enum
from typing import Any

from tinyfleet_codegen.errors import SetupError

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
except ModuleNotFoundError as missing:
    raise SetupError(f"Sparkplug B needs the package {missing.name}", hint="pip install 'tinyfleet[mqtt]'") from missing

NAMESPACE = "spBv1.0"


class DataType(enum.IntEnum):
    """Types of a metric, by their number on the wire."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17


_F = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tinyfleet.sparkplug"
_METRIC: tuple[tuple[str, int, int], ...] = (
    ("name", 1, _F.TYPE_STRING),
    ("alias", 2, _F.TYPE_UINT64),
    ("timestamp", 3, _F.TYPE_UINT64),
    ("datatype", 4, _F.TYPE_UINT32),
    ("is_historical", 5, _F.TYPE_BOOL),
    ("is_transient", 6, _F.TYPE_BOOL),
    ("is_null", 7, _F.TYPE_BOOL),
)
_VALUE: tuple[tuple[str, int, int], ...] = (
    ("int_value", 10, _F.TYPE_UINT32),
    ("long_value", 11, _F.TYPE_UINT64),
    ("float_value", 12, _F.TYPE_FLOAT),
    ("double_value", 13, _F.TYPE_DOUBLE),
    ("boolean_value", 14, _F.TYPE_BOOL),
    ("string_value", 15, _F.TYPE_STRING),
    ("bytes_value", 16, _F.TYPE_BYTES),
)
_FIELD_OF = {
    **dict.fromkeys((DataType.INT8, DataType.INT16, DataType.INT32, DataType.UINT8, DataType.UINT16, DataType.UINT32), "int_value"),
    **dict.fromkeys((DataType.INT64, DataType.UINT64, DataType.DATETIME), "long_value"),
    **dict.fromkeys((DataType.STRING, DataType.TEXT, DataType.UUID), "string_value"),
    DataType.FLOAT: "float_value",
    DataType.DOUBLE: "double_value",
    DataType.BOOLEAN: "boolean_value",
    DataType.BYTES: "bytes_value",
}
_WIDTH = {DataType.INT8: 32, DataType.INT16: 32, DataType.INT32: 32, DataType.INT64: 64}


def _schema() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="tinyfleet/sparkplug.proto", package=_PACKAGE, syntax="proto2")
    payload = file.message_type.add(name="Payload")
    payload.field.add(name="timestamp", number=1, type=_F.TYPE_UINT64, label=_F.LABEL_OPTIONAL)
    payload.field.add(name="metrics", number=2, type=_F.TYPE_MESSAGE, label=_F.LABEL_REPEATED, type_name=f".{_PACKAGE}.Payload.Metric")
    payload.field.add(name="seq", number=3, type=_F.TYPE_UINT64, label=_F.LABEL_OPTIONAL)
    payload.field.add(name="uuid", number=4, type=_F.TYPE_STRING, label=_F.LABEL_OPTIONAL)
    payload.field.add(name="body", number=5, type=_F.TYPE_BYTES, label=_F.LABEL_OPTIONAL)
    metric = payload.nested_type.add(name="Metric")
    for name, number, kind in _METRIC:
        metric.field.add(name=name, number=number, type=kind, label=_F.LABEL_OPTIONAL)
    metric.oneof_decl.add(name="value")
    for name, number, kind in _VALUE:
        metric.field.add(name=name, number=number, type=kind, label=_F.LABEL_OPTIONAL, oneof_index=0)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Payload"))


Payload = _schema()
"""The message class: ``timestamp`` (ms), ``seq``, ``metrics``."""


def add_metric(payload: Any, name: str, kind: DataType, value: Any, *, timestamp_ms: int | None, is_historical: bool = False) -> None:
    """Append one metric; a value of None is a null of that type.

    Args:
        timestamp_ms: Milliseconds since 1970 when it was measured; None: not known.
    """
    metric = payload.metrics.add(name=name, datatype=int(kind))
    if timestamp_ms is not None:
        metric.timestamp = timestamp_ms
    if is_historical:
        metric.is_historical = True
    if value is None:
        metric.is_null = True
        return
    if kind in _WIDTH and value < 0:
        value += 1 << _WIDTH[kind]  # two's complement in an unsigned field
    setattr(metric, _FIELD_OF[kind], value)


def topic(group: str, message: str, edge: str, device: str | None = None) -> str:
    """``spBv1.0/GROUP/MESSAGE/EDGE[/DEVICE]``."""
    return "/".join((NAMESPACE, group, message, edge, *(() if device is None else (device,))))
