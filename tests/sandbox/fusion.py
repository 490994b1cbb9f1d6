"""A small server that speaks SandboxFusion's protocol and really runs the programs, in the sandbox of this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from promptcot.sandbox.limits import Limits
from promptcot.sandbox.programs import Language, Program, Status, run

_LANGUAGES = {"python": Language.PYTHON, "cpp": Language.CPP17}


class Handler(BaseHTTPRequestHandler):
    """`faults` counts down: so many requests are answered with 503."""

    faults = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if Handler.faults:
            Handler.faults -= 1
            self.send_error(503)
            return
        data = json.dumps(answer(body) if self.path == "/run_code" else {"detail": "Not Found"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def answer(body: dict[str, Any]) -> dict[str, Any]:
    language = _LANGUAGES[body["language"]]
    limits = Limits(cpu_s=None, wall_s=body["run_timeout"], memory_mb=body["memory_limit_MB"], output_mb=32)
    (ran,) = run(Program(body["code"], language), [body["stdin"].encode()], limits)
    if ran.status is Status.SANDBOX_ERROR:
        return {"status": "SandboxError", "message": "", "compile_result": None, "run_result": None, "files": {}}
    said = {"stdout": ran.stdout.decode(errors="replace"), "stderr": ran.stderr.decode(errors="replace"), "execution_time": ran.wall_s}
    if ran.status is Status.COMPILE_ERROR and language is Language.CPP17:
        result = {**said, "status": "Finished", "return_code": 1}
        return {"status": "Failed", "message": "", "compile_result": result, "run_result": None, "files": {}}
    late = ran.status is Status.TIME_LIMIT
    result = {**said, "status": "TimeLimitExceeded" if late else "Finished", "return_code": None if late else ran.code}
    good = ran.status is Status.EXITED
    return {"status": "Success" if good else "Failed", "message": "", "compile_result": None, "run_result": result, "files": {}}


@contextmanager
def serving() -> Iterator[str]:
    """The server's address, while it runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
