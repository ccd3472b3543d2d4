# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node does for its users now: listed with a reason, paused, resumed, cancelled."""

import json
import signal
import time
import urllib.error
import urllib.request

import harness
from harness import wait_until

KIB = 1024
MIB = 1024 * KIB


class Transfers(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.holder = self.lab.add_node()
        self.reader = self.lab.add_node(bootstrap=[self.holder], options=["--no-store"])
        self.lab.wait_connected(self.reader)
        self.path = self.lab.file("noise", 8 * MIB)
        self.link = self.publish(self.reader, self.path, "--copies", "1")["link"]
        self.reader.stop()
        self.reader = self.lab.add_node(bootstrap=[self.holder],
                                        options=["--no-store", "--down-limit", "512KiB"])
        self.lab.wait_connected(self.reader)
        self.target = self.lab.path / "got"

    def start_fetch(self):
        process = self.lab.start("fetch", self.link, "-o", self.target, data=self.reader.data)
        self.addCleanup(process.kill)
        return process

    def listed(self):
        return self.reader.ask("transfers")["transfers"]

    def wait_moving(self):
        def moving():
            found = self.listed()
            return found and found[0]["done_bytes"] > 256 * KIB and found[0]
        return wait_until(moving, "a transfer to move", 60)

    def wait_still(self):
        """What was asked for before the pause may still arrive; then nothing does."""
        def still():
            before = self.listed()[0]["done_bytes"]
            time.sleep(1)
            return self.listed()[0]["done_bytes"] == before and before
        return wait_until(still, "the transfer to stand still", 30, 0)

    def test_listed_with_a_reason(self):
        self.assertEqual(self.listed(), [])
        self.start_fetch()
        transfer = self.wait_moving()
        self.assertEqual((transfer["kind"], transfer["path"]), ("fetch", str(self.target)))
        self.assertEqual(transfer["total_bytes"], 8 * MIB)
        self.assertEqual(transfer["stage"], "data")
        self.assertEqual(transfer["root"], harness.file_root(self.path))
        self.assertEqual([holder["node"] for holder in transfer["holders"]], [self.holder.id])
        self.assertGreater(transfer["holders"][0]["bytes"], 0)
        wait_until(lambda: self.listed()[0]["reason"] == "limited_by_us", "our limit to be blamed")
        self.assertGreater(self.listed()[0]["rate"], 0)
        text = self.reader.run("transfers", as_json=False).stdout.decode()
        self.assertIn("limited by us", text)
        # Without a limit here and with one there, it is the holder.
        self.holder.ask("limit", "--up", "512KiB")
        self.reader.ask("limit", "--down", "off")
        blamed = wait_until(lambda: self.listed()[0].get("reason_holder"), "a holder to be blamed")
        self.assertEqual(blamed, self.holder.id)

    def test_pause_and_resume(self):
        process = self.start_fetch()
        number = str(self.wait_moving()["id"])
        paused = self.reader.ask("transfers", "pause", number)["transfers"][0]
        self.assertEqual((paused["paused"], paused["reason"]), (True, "paused"))
        still = self.wait_still()
        self.assertLess(still, 8 * MIB)
        self.assertIsNone(process.poll())
        self.assertFalse(self.target.exists())
        self.reader.ask("limit", "--down", "off")
        self.assertFalse(self.reader.ask("transfers", "resume", number)["transfers"][0]["paused"])
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)
        self.assert_same(self.path, self.target)
        self.assertEqual(json.loads(out.splitlines()[-1])["fetched_bytes"], 8 * MIB)
        self.assertEqual(self.listed(), [])

    def test_a_pause_outlasts_the_idle_timeout(self):
        process = self.lab.start("fetch", self.link, "-o", self.target, "--timeout", "3s",
                                 data=self.reader.data)
        self.addCleanup(process.kill)
        number = str(self.wait_moving()["id"])
        self.reader.ask("transfers", "pause", number)
        time.sleep(6)
        self.assertIsNone(process.poll())
        self.reader.ask("limit", "--down", "off")
        self.reader.ask("transfers", "resume", number)
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)

    def test_cancel_and_fetch_again(self):
        process = self.start_fetch()
        moving = self.wait_moving()
        self.reader.ask("transfers", "cancel", str(moving["id"]))
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(json.loads(out.splitlines()[-1])["code"], "interrupted")
        self.assertFalse(self.target.exists())
        self.assertEqual(self.listed(), [])
        process = self.start_fetch()
        def asking():
            found = self.listed()
            return found and found[0]["stage"] == "data" and found[0]
        again = wait_until(asking, "the second fetch to ask for data", 60)
        self.assertEqual(again["total_bytes"], 8 * MIB, "of the file, not of what is lacking")
        self.assertGreaterEqual(again["own_bytes"], 256 * KIB)
        self.assertGreaterEqual(again["done_bytes"], again["own_bytes"])
        self.reader.ask("limit", "--down", "off")
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)
        self.assert_same(self.path, self.target)
        self.assertLessEqual(json.loads(out.splitlines()[-1])["fetched_bytes"], 8 * MIB - 256 * KIB)

    def test_what_is_not_running(self):
        self.assert_error(self.reader.run("transfers", "pause", "77"), harness.NOT_FOUND, "77")
        for wrong in (["pause"], ["stop", "1"], ["pause", "one"], ["pause", "1", "--watch"]):
            self.assert_exit(self.reader.run("transfers", *wrong), harness.USAGE)

    def test_streams_and_publications(self):
        stream = self.lab.start("cat", self.link, data=self.reader.data)
        self.addCleanup(stream.kill)
        wait_until(lambda: [t["kind"] for t in self.listed()] == ["stream"], "a stream", 60)
        self.reader.ask("transfers", "cancel", str(self.listed()[0]["id"]))
        stream.communicate(timeout=60)
        self.assertNotEqual(stream.returncode, 0)
        self.assertEqual(self.listed(), [])
        self.reader.ask("limit", "--up", "64KiB")
        more = self.lab.file("more", 2 * MIB, seed=3)
        publication = self.lab.start("publish", more, "--copies", "1", data=self.reader.data)
        self.addCleanup(publication.kill)

        def waits_for_us():
            found = self.listed()
            return found and found[0]["reason"] == "limited_by_us" and found[0]
        listed = wait_until(waits_for_us, "our limit to be blamed", 60)
        self.assertEqual((listed["kind"], listed["stage"]), ("publish", "copies"))
        self.assertEqual(listed["root"], harness.file_root(more))
        self.assertEqual(listed["copies"], {"min": 0, "target": 1})
        sent = wait_until(lambda: self.listed()[0]["holders"], "somebody to be sent something", 60)
        self.assertEqual([holder["node"] for holder in sent], [self.holder.id])
        self.assertTrue(0 < sent[0]["bytes"] <= 2 * MIB, sent)
        self.reader.ask("transfers", "cancel", str(listed["id"]))
        publication.communicate(timeout=60)
        self.assertEqual(publication.returncode, 130)

    def test_who_interrupts_a_publication_is_told_what_becomes_of_it(self):
        self.reader.ask("limit", "--up", "64KiB")
        more = self.lab.file("more", 2 * MIB, seed=3)
        publication = self.lab.start("publish", more, "--copies", "1", data=self.reader.data,
                                     as_json=False)
        self.addCleanup(publication.kill)
        wait_until(lambda: [t["stage"] for t in self.listed()] == ["copies"], "copies to be made", 60)
        publication.send_signal(signal.SIGINT)
        _, said = publication.communicate(timeout=60)
        self.assertEqual(publication.returncode, 130)
        self.assertIn(b"publishing it again goes on from there", said)
        self.assertIn(b"`flow29 rm ", said)
        self.assertEqual(self.listed(), [])

    def test_watch_writes_a_line_an_update(self):
        self.start_fetch()
        self.wait_moving()
        watch = self.lab.start("transfers", "--watch", data=self.reader.data)
        self.addCleanup(watch.kill)
        done = []
        for _ in range(3):
            event = json.loads(watch.stdout.readline())
            self.assertEqual(event["event"], "update")
            done.append(event["transfers"][0]["done_bytes"])
        self.assertLess(done[0], done[-1])

    def test_over_http(self):
        node = self.lab.add_node(
            bootstrap=[self.holder],
            options=["--no-store", "--down-limit", "512KiB", "--web", "127.0.0.1:0"])
        self.lab.wait_connected(node)
        site = node.ready["web"].rstrip("/")
        token = (node.data / "web.token").read_text().strip()

        def call(path, method="GET", with_token=True):
            request = urllib.request.Request(f"{site}/api/v1/{path}", method=method)
            if with_token:
                request.add_header("X-Flow29-Token", token)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, json.loads(answer.read())
            except urllib.error.HTTPError as error:
                return error.code, {}
        process = self.lab.start("fetch", self.link, "-o", self.target, data=node.data)
        self.addCleanup(process.kill)
        wait_until(lambda: call("transfers")[1]["transfers"], "the transfer", 60)
        number = call("transfers")[1]["transfers"][0]["id"]
        pause = f"transfers/pause?id={number}"
        self.assertEqual(call(pause)[0], 405)
        self.assertEqual(call(pause, "POST", with_token=False)[0], 401)
        self.assertFalse(call("transfers")[1]["transfers"][0]["paused"])
        status, answer = call(pause, "POST")
        self.assertEqual((status, answer["transfers"][0]["paused"]), (200, True))
        self.assertEqual(call("transfers", "POST")[0], 405)
        self.assertEqual(call("transfers/pause?id=99", "POST")[0], 404)
        self.assertEqual(call("transfers/pause", "POST")[0], 400)
        self.assertEqual(call(f"transfers/cancel?id={number}", "POST")[0], 200)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)


if __name__ == "__main__":
    harness.main()
