"""Where an outbox drains to: one file a sink, registered in the one table below.

``sink`` has the protocol. A sink's file holds its settings (the ``[[sink]]`` table of its ``type``) and its class; packages that it
needs beyond the base are imported when it is opened, so that the table can be read without them.
"""

from __future__ import annotations

from tinyfleet.gateway.sinks.aws_iot import AwsIotSinkSettings
from tinyfleet.gateway.sinks.azure_iot import AzureIotSinkSettings
from tinyfleet.gateway.sinks.file import FileSinkSettings
from tinyfleet.gateway.sinks.http import HttpSinkSettings
from tinyfleet.gateway.sinks.kafka import KafkaSinkSettings
from tinyfleet.gateway.sinks.mqtt import MqttSinkSettings
from tinyfleet.gateway.sinks.opcua import OpcUaSinkSettings
from tinyfleet.gateway.sinks.sink import SinkSettings
from tinyfleet.gateway.sinks.sparkplug_b import SparkplugSinkSettings

SINKS: tuple[type[SinkSettings], ...] = (
    HttpSinkSettings,
    MqttSinkSettings,
    FileSinkSettings,
    KafkaSinkSettings,
    OpcUaSinkSettings,
    AwsIotSinkSettings,
    AzureIotSinkSettings,
    SparkplugSinkSettings,
)
"""Every kind of sink; a new one is one entry here."""

__all__ = ["SINKS"]
