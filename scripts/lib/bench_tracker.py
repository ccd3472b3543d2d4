# SPDX-License-Identifier: GPL-3.0-or-later
"""A BitTorrent tracker that knows one peer: how clients that cannot be told an address get it."""

import http.server
import socket
import struct
import threading


class Tracker:
    """Listens at `host` while it is entered, and tells everybody but the one peer of that peer."""

    def __init__(self, host, peer_host, peer_port):
        peer = socket.inet_aton(peer_host) + struct.pack(">H", peer_port)
        own_port = f"port={peer_port}&"

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                told = b"0:" if own_port in self.path + "&" else b"6:" + peer
                answer = b"d8:completei1e10:incompletei0e8:intervali1800e5:peers" + told + b"e"
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer((host, 0), Handler)
        self.url = f"http://{host}:{self.server.server_port}/announce"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
