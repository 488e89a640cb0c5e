"""Measure the suite of a pack where there is no network, as a process in a namespace of its own:

``unshare -rn python -m tests.evals.without_network PACK SENDER SUITE``

Prints one JSON object: routes that there are, whether the world could be reached, what the
import said and what ``manage.py evaluate`` found.
"""

from __future__ import annotations

import errno
import fcntl
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path

from tests.evals.stub_server import MODEL, StubServer

ROOT = Path(__file__).resolve().parents[2]
UP, SET_FLAGS = 0x1, 0x8914  # IFF_UP, SIOCSIFFLAGS of <net/if.h> and <linux/sockios.h>
ELSEWHERE = ("192.0.2.1", 80)  # an address of documentation (RFC 5737)


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))


def world() -> str:
    """What a connection to another machine says."""
    try:
        socket.create_connection(ELSEWHERE, timeout=2).close()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "reached"


def manage(*arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def measured(suite: str, url: str) -> dict[str, object]:
    said = manage("evaluate", "--suite", suite, "--endpoint", url, "--model", MODEL, "--json")
    return json.loads(said.splitlines()[-1])


def main() -> None:
    pack, sender, suite = sys.argv[1:]
    raise_loopback()
    found: dict[str, object] = {
        "routes": Path("/proc/net/route").read_text().splitlines()[1:],
        "world": world(),
    }
    manage("pack", "keys", "--trust", "Installation A", sender)
    found["imported"] = manage("pack", "import", pack)
    with StubServer() as server:
        found["result"] = measured(suite, server.base_url)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
