// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/session_inbox.hpp"

#include <algorithm>

#include "fixtures.hpp"
#include "input.hpp"

/// Requests of a peer that floods, repeats its numbers or does not read: first come, first begun,
/// and never more than the bounds.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    static const auto messages = proto::sample_messages();
    fuzz::Input input(data, size);
    proto::RequestInbox inbox;
    std::deque<std::uint64_t> waiting;
    std::vector<std::uint64_t> running;
    while (!input.empty()) {
        const auto choice = input.octet();
        if (choice % 3 == 0) {
            const auto& message = messages[input.octet() % messages.size()];
            const auto number = input.number(400);
            if (!proto::is_request(message)) continue;
            const bool known =
                std::ranges::count(waiting, number) + std::ranges::count(running, number) > 0;
            const bool full =
                waiting.size() + running.size() >= limits::requests_in_flight_per_peer_max;
            const auto taken = inbox.on_request(number, message);
            FLOW29_ASSERT(taken.has_value() == (!known && !full));
            if (taken)
                waiting.push_back(number);
            else
                FLOW29_ASSERT(taken.error().code == Errc::peer_misbehaved);
        } else if (choice % 3 == 1) {
            const ByteCount unsent(choice < 64 ? 0 : input.number(1ULL << 24));
            const ByteCount room(choice < 64 ? ~std::uint64_t{0} : input.number(1ULL << 23));
            const bool is_short = inbox.is_short_of_room(unsent, room);
            const auto entry = inbox.poll_start(unsent, room);
            FLOW29_ASSERT(!(entry && is_short));
            if (entry) {
                FLOW29_ASSERT(!waiting.empty() && entry->request == waiting.front());
                FLOW29_ASSERT(unsent.value <= limits::reply_bytes_max);
                waiting.pop_front();
                running.push_back(entry->request);
            } else if (running.empty() && unsent.value == 0 && !is_short) {
                FLOW29_ASSERT(waiting.empty());  // or it would never go on
            }
        } else if (!running.empty()) {
            const auto place = input.number(running.size() - 1);
            inbox.on_answered(running[place]);
            running.erase(running.begin() + static_cast<std::ptrdiff_t>(place));
        }
        inbox.check_invariants();
        FLOW29_ASSERT(inbox.requests_in_flight() == waiting.size() + running.size());
    }
    return 0;
}
