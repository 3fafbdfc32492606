"""Before the server opens its port: is what is configured safe to reach from there?"""

import ipaddress

from server.admission.keyfile import parse_key_file, read_key_file
from server.admission.salts import salt_secret
from server.settings import Settings, SettingsError


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect. A name that is not `localhost` may resolve to anything."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_listener(settings: Settings) -> None:
    """
    Raises:
        SettingsError: strangers could use the server without a key, and nobody wrote that they may; the settings of
            admission contradict one another; or the key file cannot be used.
    """
    admission, host = settings.admission, settings.http.host
    if admission.keys_file and admission.auth == "none":
        raise SettingsError("`admission.auth: none` contradicts `admission.keys_file`: give one of them")
    if not admission.keys_file and admission.auth == "loopback" and not is_loopback(host):
        raise SettingsError(
            f"`http.host`: {host} can be reached from elsewhere, and there are no keys; "
            "give `admission.keys_file`, or write `admission.auth: none` to serve whoever asks"
        )
    salt_secret(admission)
    if admission.keys_file and admission.keys_file.exists():  # a secret need not be where its configuration is checked
        parse_key_file(admission.keys_file, read_key_file(admission.keys_file), admission.plans)


def describe_access(settings: Settings) -> str:
    """One line for the log at the start: who is served."""
    admission = settings.admission
    if admission.keys_file:
        return f"serving whoever has a key in {admission.keys_file}"
    if admission.auth == "none":
        return f"serving WHOEVER CAN REACH {settings.http.host} without a key (admission.auth: none)"
    return "serving this machine alone, without keys: there is no admission.keys_file"
