"""Not run by `make test`: the build takes minutes. `make image-test` runs it."""

import asyncio
import signal

import httpx

from benchmarks.callers import COMPLETE, body, call, outcomes, talk
from tests.image.conftest import USER, WRITABLE, Container, Image, has
from tests.lifecycle.processes import gauge, until

SHORT, LONG = 100, 30_000  # tokens: the one fits into the drain, the other does not


def test_what_a_container_engine_is_told(image: Image) -> None:
    config = image.config
    assert config["User"] == str(USER)
    assert config["Entrypoint"][0].endswith("tini")
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["StopSignal"] == "SIGTERM"
    assert config["ExposedPorts"] == {"8000/tcp": {}}
    labels = {name.rsplit(".", 1)[1] for name in config["Labels"] if name.startswith("org.opencontainers.image.")}
    assert labels >= {"title", "description", "version", "revision"}


def test_nothing_to_build_with_is_in_it(image: Image) -> None:
    assert has(image, "electron-server", "python3", "tini") == ["electron-server", "python3", "tini"]
    assert not has(image, "gcc", "cc", "make", "git", "nvcc")
    assert not (image.root / "src").exists()


def test_it_is_not_root_and_can_write_nowhere_else(image: Image) -> None:
    program = (
        "import os, pwd; print(os.getuid(), pwd.getpwuid(os.getuid()).pw_name);"
        "print(*(line for line in open('/proc/self/status') if line.startswith(('CapEff', 'NoNewPrivs'))))\n"
        f"for path in {('/', '/opt/electron', '/etc', '/usr/bin', *WRITABLE)}:\n"
        "    try: open(f'{path}/probe', 'w'); print(path)\n"
        "    except OSError: pass\n"
    )
    done = image.run("python3", "-c", program)
    assert done.returncode == 0, done.stderr
    who, *rights = [line for line in done.stdout.splitlines() if line and not line.startswith("/")]
    assert who == f"{USER} electron"
    assert [line.split()[1] for line in rights] == ["0000000000000000", "1"]
    assert [line for line in done.stdout.splitlines() if line.startswith("/")] == list(WRITABLE)


async def test_it_answers_and_drains_under_load(image: Image, container: Container) -> None:
    """Told to end in the middle of six calls: what can be finished is, the rest is told, and the status is 0."""
    check = container_check(image, container)
    assert (await asyncio.to_thread(image.run, *check)).returncode == 0
    async with httpx.AsyncClient(base_url=container.url, timeout=300) as client:
        assert (await call(client, body(max_tokens=4))).outcome == COMPLETE
        running = [asyncio.create_task(call(client, talk(n, tokens=LONG if n < 3 else SHORT))) for n in range(6)]
        await until(lambda: all_in_flight(client))
        container.init.send_signal(signal.SIGTERM)
        await until(lambda: draining(client))
        refused = await client.post("/v1/chat/completions", json=body(99))
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "service_unavailable")
        assert refused.headers["retry-after"]
        assert (await asyncio.to_thread(image.run, *check)).returncode != 0
        ended = await asyncio.gather(*running)
    assert outcomes(ended[3:]) == {COMPLETE: 3}
    assert outcomes(ended[:3]) == {"error event service_unavailable": 3}
    assert await asyncio.to_thread(container.process.wait, 120) == 0


def container_check(image: Image, container: Container) -> list[str]:
    """The image's health check, at the port that this container has."""
    return [word.replace(":8000/", f":{container.port}/") for word in image.config["Healthcheck"]["Test"][1:]]


async def all_in_flight(client: httpx.AsyncClient) -> bool:
    return await gauge(client, "electron_requests_in_flight") == 6


async def draining(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 503


LAUNCHER = """
#include <Python.h>
static struct PyModuleDef launcher = {PyModuleDef_HEAD_INIT, "launcher", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_launcher(void) { return PyModule_Create(&launcher); }
"""
COMPILE = f"""
import subprocess, sys, sysconfig
open("/tmp/launcher.c", "w").write({LAUNCHER!r})
include = "-I" + sysconfig.get_paths()["include"]
subprocess.run(["gcc", "-shared", "-fPIC", include, "/tmp/launcher.c", "-o", "/tmp/launcher.so"], check=True)
sys.path.insert(0, "/tmp")
import launcher
"""


def test_the_image_for_a_gpu_is_built_and_has_what_triton_compiles_with(cuda: Image) -> None:
    """Up to the engine: the settings are checked in it, and a module as Triton makes them is compiled and loaded."""
    assert cuda.config["User"] == str(USER)
    assert cuda.config["Cmd"] == ["serve", "--config", "/etc/electron/config/config.yaml"]
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in cuda.config["Env"]
    assert has(cuda, "gcc") and not has(cuda, "nvcc", "make", "git")
    done = cuda.run("python3", "-c", COMPILE)
    assert done.returncode == 0, done.stderr
    check = ["electron-server", "check", "--config", "/opt/electron/configs/nano.yaml", "--set", "admission.auth=none"]
    done = cuda.run(*check, "--gpu", "24gb", "--calls", "8")
    assert done.returncode == 0, done.stderr
    assert "fits" in done.stdout
