# SPDX-License-Identifier: GPL-3.0-or-later
"""The page and the gateway of real nodes, over HTTP."""

import email
import email.policy
import http.client
import json
import re
import socket
import subprocess
import unittest
import urllib.parse

import harness
import lab

ANY = "127.0.0.1:0"


class Web(harness.SystemTest):
    def request(self, url, path, method="GET", **headers):
        """The response, with its body read."""
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
        self.addCleanup(connection.close)
        connection.request(method, path, headers={name.replace("_", "-"): value
                                                  for name, value in headers.items()})
        response = connection.getresponse()
        response.content = response.read()
        return response

    def parts(self, response):
        """(Content-Range, Content-Type, bytes) of each part of an answer in parts."""
        head = f"Content-Type: {response.getheader('Content-Type')}\r\n\r\n".encode()
        message = email.message_from_bytes(head + response.content, policy=email.policy.HTTP)
        return [(part["Content-Range"], part["Content-Type"], part.get_payload(decode=True))
                for part in message.iter_parts()]

    def test_what_was_published_is_served_by_a_node_that_never_had_it(self):
        holders = self.lab.add_swarm(5)
        path = self.lab.file("clip.mp4", (5 << 20) + 77)
        data = path.read_bytes()
        published = self.publish(holders[-1], path)
        root = published["link"].removeprefix("flow29:")[:52]
        holders[-1].kill()
        reader = self.lab.add_node(name="reader", bootstrap=holders[:2],
                                   options=["--no-store", "--web", ANY, "--gateway", ANY])
        self.lab.wait_connected(reader)
        gateway = reader.ready["gateway"]
        target = f"/f/{root}?name=clip.mp4"

        head = self.request(gateway, target, "HEAD")
        self.assertEqual(head.status, 200)
        self.assertEqual(int(head.getheader("Content-Length")), len(data))
        self.assertEqual(head.content, b"")
        whole = self.request(gateway, target)
        self.assertEqual(whole.status, 200)
        self.assertEqual(whole.content, data)
        self.assertEqual(whole.getheader("Content-Type"), "video/mp4")
        tag = whole.getheader("ETag")
        self.assertEqual(tag, f'"{root}"')
        self.assertEqual(self.request(gateway, f"/f/{published['root']}").content, data)

        part = self.request(gateway, target, Range="bytes=1000000-1999999")
        self.assertEqual(part.status, 206)
        self.assertEqual(part.getheader("Content-Range"), f"bytes 1000000-1999999/{len(data)}")
        self.assertEqual(part.content, data[1000000:2000000])
        tail = self.request(gateway, target, Range="bytes=-500")
        self.assertEqual((tail.status, tail.content), (206, data[-500:]))
        outside = self.request(gateway, target, Range=f"bytes={len(data)}-")
        self.assertEqual(outside.status, 416)
        self.assertEqual(outside.getheader("Content-Range"), f"bytes */{len(data)}")
        for unread in ("chunks=1-2", "bytes=abc", "bytes=5-2", "bytes=1-2,x"):
            ignored = self.request(gateway, target, Range=unread)
            self.assertEqual((ignored.status, ignored.content), (200, data), unread)
            self.assertEqual(ignored.getheader("X-Content-Type-Options"), "nosniff")
        beyond = self.request(gateway, target, Range="bytes=5000000-" + "9" * 30)
        self.assertEqual((beyond.status, beyond.content), (206, data[5000000:]))
        several = self.request(gateway, target, Range="bytes=3000000-3999999,9999999-,-500,0-0")
        self.assertEqual(several.status, 206)
        self.assertEqual(self.parts(several), [
            (f"bytes {first}-{last}/{len(data)}", "video/mp4", data[first:last + 1])
            for first, last in ((3000000, 3999999), (len(data) - 500, len(data) - 1), (0, 0))])
        overlapping = self.request(gateway, target, Range="bytes=0-5,5-9")
        self.assertEqual((overlapping.status, overlapping.content), (200, data))
        self.assertEqual(self.request(gateway, target, If_None_Match="*").status, 304)
        same = self.request(gateway, target, If_None_Match=tag)
        self.assertEqual((same.status, same.content), (304, b""))
        self.assertIsNone(same.getheader("Content-Length"))
        self.assertEqual(self.request(gateway, target, If_Match='"x"').status, 412)
        self.assertEqual(self.request(gateway, f"/f/{root}/").status, 404)
        self.assertEqual(self.request(gateway, f"/f/{'a' * 52}").status, 404)
        self.assertEqual(self.request(gateway, "/f/nonsense").status, 400)

    def test_a_client_that_goes_away_leaves_the_gateway_working(self):
        node = self.lab.add_swarm(2, options=["--gateway", ANY, "--web", "off"])[1]
        path = self.lab.file("source", 8 << 20)
        link = self.publish(node, path, "--copies", "1")["link"]
        root = link.removeprefix("flow29:")[:52]
        host, port = urllib.parse.urlsplit(node.ready["gateway"]).netloc.split(":")
        for _ in range(40):
            with socket.create_connection((host, int(port)), timeout=60) as client:
                client.sendall(f"GET /f/{root} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                self.assertTrue(client.recv(1))
        whole = self.request(node.ready["gateway"], f"/f/{root}")
        self.assertEqual(whole.content, path.read_bytes())

    def test_the_page_and_its_api(self):
        node = self.lab.add_node(options=["--web", ANY, "--gateway", ANY])
        page = self.request(node.ready["web"], "/")
        self.assertEqual(page.status, 200)
        token = re.search(rb'name="flow29-token" content="([0-9a-f]{64})"', page.content)[1].decode()
        self.assertEqual((node.data / "web.token").read_text().strip(), token)
        status = self.request(node.ready["web"], "/api/v1/status", X_Flow29_Token=token)
        self.assertEqual(status.status, 200)
        self.assertIn(node.id.encode(), status.content)
        self.assertEqual(self.request(node.ready["web"], "/api/v1/status").status, 401)
        self.assertEqual(self.request(node.ready["web"], "/", Host="example.org").status, 403)
        metrics = self.request(node.ready["web"], "/metrics")
        self.assertIn(b"\nflow29_uptime_seconds ", metrics.content)

    @unittest.skipUnless(harness.is_root(), "only root can ask as another user")
    def test_another_users_page_comes_without_the_token(self):
        node = self.lab.add_node(options=["--web", ANY, "--gateway", "off"])
        ask = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
        python = ["/usr/bin/python3", "-c", ask, node.ready["web"]]
        own = subprocess.run(python, capture_output=True, check=True, text=True)
        self.assertRegex(own.stdout, r'name="flow29-token" content="[0-9a-f]{64}"')
        nobody = subprocess.run(python, capture_output=True, check=True, text=True, user=65534,
                                cwd="/")
        self.assertIn('name="flow29-token" content=""', nobody.stdout)

    def test_every_metric_is_documented_and_the_dashboard_asks_for_no_other(self):
        node = self.lab.add_node(options=["--web", ANY, "--gateway", "off"])
        text = self.request(node.ready["web"], "/metrics").content.decode()
        served = dict(re.findall(r"^# TYPE (flow29_\w+) (\w+)$", text, re.MULTILINE))
        docs = lab.REPOSITORY / "docs"
        documented = dict(re.findall(r"^\| `(flow29_\w+)` \| (\w+) \|",
                                     (docs / "metrics.md").read_text(), re.MULTILINE))
        self.assertEqual(documented, served)
        panels = json.loads((docs / "examples/grafana.json").read_text())["panels"]
        asked = {name for panel in panels for target in panel["targets"]
                 for name in re.findall(r"flow29_\w+", target["expr"])}
        self.assertLessEqual(asked, set(served))

    def test_off_is_off_and_a_port_that_is_taken_is_an_error_only_when_it_was_named(self):
        quiet = self.lab.add_node(options=["--web", "off", "--gateway", "off"])
        self.assertNotIn("web", quiet.ready)
        self.assertNotIn("gateway", quiet.ready)
        first = self.lab.add_node()   # whichever of these comes first has the default ports
        second = self.lab.add_node()
        self.assertFalse("web" in first.ready and "web" in second.ready)
        holder = self.lab.add_node(options=["--web", ANY, "--gateway", "off"])
        taken = urllib.parse.urlsplit(holder.ready["web"]).netloc
        for option in ("--web", "--gateway"):
            outcome = self.lab.run("node", "--port", "0", "--listen", "127.0.0.1", option, taken,
                                   data=self.lab.path / "another")
            self.assert_error(outcome, harness.OTHER, option, taken)
        outcome = self.lab.run("node", "--web", "nonsense", data=self.lab.path / "another")
        self.assert_error(outcome, harness.USAGE, "--web")


if __name__ == "__main__":
    harness.main()
