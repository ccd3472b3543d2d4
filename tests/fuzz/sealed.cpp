// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/seal.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/lan_call.hpp"
#include "input.hpp"

namespace {

using namespace flow29;

/// A message that a member has sealed, and that whoever is on its way may show to the node as often
/// as he likes.
struct Sent {
    std::size_t sender = 0;
    std::uint64_t sequence = 0;
    core::Endpoint destination;
    WallTime at;
    Bytes payload;
    Bytes octets;
};

/// A node that opens, members that seal, and who remembers naively what was opened.
class Swarm {
  public:
    explicit Swarm(fuzz::Input& input) : input_(input) {
        for (const char* const purpose : {"datagrams", "datagrams", "knocks"})
            members_.emplace_back(key_, purpose);
        members_.emplace_back(core::SwarmKey{}, "datagrams");
    }

    void act() {
        switch (input_.number(7)) {
            case 0:
            case 1:
                return seal(input_.octets(40));
            case 2:
                return lose();
            case 3:
                now_ += std::chrono::milliseconds(input_.number(0xfffff));
                return;
            case 4:
                return damage();
            case 5:  // whatever it is, nobody sealed it
                return refuse(input_.octets(200));
            case 6:
                if (input_.octet() % 8 == 0) restart();
                return;
            default:
                return deliver();
        }
    }

  private:
    static constexpr std::size_t knocker = 2;  ///< the first whose messages are for nobody here

    const core::Endpoint& endpoint() {
        static const std::vector<core::Endpoint> all = [] {
            std::vector<core::Endpoint> some;
            for (const char* const text :
                 {"10.1.2.3:2929", "198.51.100.7:2929", "198.51.100.7:2930", "10.1.2.4:2929",
                  "127.0.0.1:2929", "[2001:db8::1]:2929", "[fd00::1]:2929"})
                some.push_back(*core::Endpoint::parse(text));
            return some;
        }();
        return all[input_.number(all.size() - 1)];
    }

    void seal(ByteView payload) {
        Sent message;
        message.sender = input_.number(members_.size() - 1);
        message.sequence = ++sequences_[message.sender];
        message.destination = endpoint();
        message.at = now_ + std::chrono::milliseconds(input_.number(1'500'000)) -
                     std::chrono::milliseconds(750'000);
        message.payload.assign(payload.begin(), payload.end());
        members_[message.sender].seal(payload, message.destination, message.at, message.octets);
        FLOW29_ASSERT(message.octets.size() == payload.size() + core::seal_overhead);
        sent_.push_back(std::move(message));
    }

    /// Many that never come.
    void lose() {
        const auto sender = input_.number(members_.size() - 1);
        const auto many = std::min(input_.number(1100), may_be_lost_);
        may_be_lost_ -= many;
        sequences_[sender] += many;
        Bytes octets;
        for (std::uint64_t i = 0; i < many; ++i)
            members_[sender].seal({}, core::Endpoint{}, now_, octets);
    }

    /// By the rules of Opener, with everything that ever came kept.
    bool is_due(const Sent& message, const core::Endpoint& local) const {
        constexpr auto tolerance = core::Opener::clock_tolerance;
        if (message.sender >= knocker || !core::is_for(message.destination, local)) return false;
        if (message.at + tolerance < now_ || message.at > now_ + tolerance) return false;
        if (refuse_before_ && message.at < *refuse_before_) return false;
        const auto seen = opened_.find(message.sender);
        if (seen == opened_.end()) return true;
        return !seen->second.contains(message.sequence) &&
               message.sequence + core::Opener::window > *seen->second.rbegin();
    }

    void deliver() {
        if (sent_.empty()) return;
        const auto& message = sent_[input_.number(sent_.size() - 1)];
        const auto& local = input_.flag() ? message.destination : endpoint();
        const bool due = is_due(message, local);
        Bytes payload{42};
        const bool opened = opener_.open(message.octets, local, now_, payload);
        FLOW29_ASSERT(opened == due);
        FLOW29_ASSERT(payload == (opened ? message.payload : Bytes{42}));
        if (opened) opened_[message.sender].insert(message.sequence);
        FLOW29_ASSERT(opener_.senders() == opened_.size());
        FLOW29_ASSERT(!opener_.open(message.octets, local, now_, payload));
    }

    void refuse(ByteView octets) {
        Bytes payload{42};
        FLOW29_ASSERT(!opener_.open(octets, endpoint(), now_, payload));
        FLOW29_ASSERT(payload == Bytes{42} && opener_.senders() == opened_.size());
    }

    /// A bit that is another, or octets too few or too many.
    void damage() {
        if (sent_.empty()) return;
        auto octets = sent_[input_.number(sent_.size() - 1)].octets;
        const auto bit = input_.number(8 * octets.size() - 1);
        octets[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
        refuse(octets);
        octets[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
        refuse(ByteView(octets).first(bit / 8));
        octets.push_back(input_.octet());
        refuse(octets);
    }

    void restart() {
        refuse_before_ = now_;
        opener_ = core::Opener(key_, "datagrams", refuse_before_);
        opened_.clear();
    }

    fuzz::Input& input_;
    core::SwarmKey key_ = *core::SwarmKey::from(Bytes(core::SwarmKey::size, 7));
    core::Opener opener_{key_, "datagrams"};
    std::vector<core::Sealer> members_;
    std::map<std::size_t, std::uint64_t> sequences_;
    WallTime now_ = from_unix_ms(1'800'000'000'000);
    std::optional<WallTime> refuse_before_;
    std::vector<Sent> sent_;
    std::map<std::size_t, std::set<std::uint64_t>> opened_;
    std::uint64_t may_be_lost_ = 1500;  ///< of one input
};

/// Nobody without the key makes a call that is heard; one that was made comes back, and is another
/// swarm's to nobody.
void check_calls(ByteView octets) {
    const core::LanCaller ours(core::SwarmKey::from(Bytes(core::SwarmKey::size, 7)), 29);
    const core::LanCaller everybodys(std::nullopt, 29);
    FLOW29_ASSERT(!ours.decode(octets));
    fuzz::Input input(octets.data(), octets.size());
    core::LanCall call;
    call.nonce = input.id<core::LanNonce>();
    call.port = static_cast<std::uint16_t>(input.number(0xffff));
    auto raw = ours.encode(call);
    const auto heard = ours.decode(raw);
    FLOW29_ASSERT(call.port == 0 ? !heard : heard == call);
    FLOW29_ASSERT(!everybodys.decode(raw));
    raw[input.number(raw.size() - 1)] ^= 1;
    FLOW29_ASSERT(!ours.decode(raw));
}

}  // namespace

/// What was sealed opens once, by the rules of Opener, and only where it is for; nothing else
/// opens.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check_calls({data, size});
    fuzz::Input input(data, size);
    Swarm swarm(input);
    while (!input.empty())
        swarm.act();
    return 0;
}
