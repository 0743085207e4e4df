"""A client of an MQTT broker in the configuration: the keys that the MQTT sink and rules share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tinyfleet.gateway.tls import ConfigFolder, TlsSettings
from tinyfleet.mqtt_topics import mqtt_address

if TYPE_CHECKING:
    from tinyfleet.mqtt import MqttEndpoint


class MqttClientSettings(TlsSettings):
    """How a broker is spoken to, and who we are to it."""

    protocol: Literal["5", "3.1.1"] = Field(default="5", description="'5' or '3.1.1'")
    username: str | None = Field(default=None, min_length=1, description="a user of the broker")
    password_file: str | None = Field(
        default=None, min_length=1, description="a file with the password, relative to the configuration file"
    )
    password_env: str | None = Field(
        default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="name of an environment variable with the password"
    )
    keepalive_s: int = Field(default=30, ge=1, le=3600, description="seconds of silence after which the broker is asked, 1 to 3600")

    def client_problem(self, key: str, url: str) -> str | None:
        """What is wrong between these keys and the broker's URL, as ``key = value: ...``; None when nothing is."""
        if self.password_file is not None and self.password_env is not None:
            return f"password_env = {self.password_env!r}: allowed: not together with password_file"
        if not mqtt_address(url)[2] and self.has_tls_files:
            return f"{key} = {url!r}: allowed: mqtts:// where ca_file or cert_file is given"
        return self.pair_problem()

    def endpoint(self, url: str, folder: ConfigFolder, *, timeout_s: float) -> MqttEndpoint:
        """The broker; files and secrets are read.

        Raises:
            ConfigError: one of them cannot be had.
            SetupError: the package is not installed.
        """
        from tinyfleet.mqtt import MqttEndpoint  # noqa: PLC0415 (an optional extra)

        host, port, is_tls = mqtt_address(url)
        password = folder.secret(f"{self.table}: password", file=self.password_file, env=self.password_env)
        return MqttEndpoint(
            host,
            port,
            tls=self.tls(folder) if is_tls else None,
            username=self.username,
            password=None if password is None else password.get_secret_value(),
            is_v5=self.protocol == "5",
            keepalive_s=self.keepalive_s,
            timeout_s=timeout_s,
        )
