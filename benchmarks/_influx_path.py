"""Gives InfluxDB 1.6.7 the path ``/api/v2/write``: a proxy in a process of its own, so that it takes no time from others.

``python -m benchmarks._influx_path UPSTREAM_PORT`` prints its own port and runs until its standard input ends.
"""

import http.client
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream_port = 0

    def do_POST(self) -> None:
        """Pass the body on and the answer back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        query = urlencode({"db": asked["bucket"], "precision": asked["precision"]})
        body = self.rfile.read(int(self.headers["Content-Length"]))
        upstream = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=60)
        upstream.request("POST", f"/write?{query}", body)
        answer = upstream.getresponse()
        said = answer.read()
        upstream.close()
        self.send_response(answer.status)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def main() -> None:
    """Serve."""
    _Handler.upstream_port = int(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
