// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/session.hpp"

#include <algorithm>

#include "core/layout.hpp"

#include "fixtures.hpp"
#include "input.hpp"

namespace {

using namespace flow29;
using proto::Message;
using proto::PeerSession;

const std::vector<Message>& messages() {
    static const std::vector<Message> all = proto::sample_messages();
    return all;
}

/// What a session must make of what comes, by its rules and nothing else.
struct Model {
    struct Request {
        Message message;
        TimePoint opened;
        Duration idle_timeout{};
    };
    bool ready = false;
    TimePoint received;
    std::map<std::uint64_t, Request> open;
    std::set<std::uint64_t> late;  // also of pings that went out while another was unanswered
    std::optional<std::uint64_t> ping;
    std::optional<std::uint64_t> arriving;
    unsigned updates = 0;
    std::optional<TimePoint> updates_until;

    [[nodiscard]] bool is_due(const Request& request, TimePoint now) const {
        return std::max(request.opened, received) + request.idle_timeout <= now;
    }
};

/// The reply that a request calls for, by its place in the list of messages.
std::string_view reply_to(std::string_view request) {
    if (request == "get_range") return "range_reply";
    if (request == "get_descriptor") return "descriptor_reply";
    if (request == "get_holders" || request == "get_hinted") return "holder_table";
    if (request == "have") return "have_reply";
    if (request == "invite") return "invite_reply";
    if (request == "get_closest") return "closest_reply";
    if (request == "update_lease") return "lease_reply";
    if (request == "get_leases") return "leases";
    if (request == "get_kept") return "kept_list";
    if (request == "pledge") return "pledge_reply";
    if (request == "dial_back") return "dial_back_reply";
    return "pong";
}

bool fits(const Message& request, const Message& reply, std::uint64_t body) {
    if (std::holds_alternative<proto::Failure>(reply)) return true;
    if (proto::message_name(reply) != reply_to(proto::message_name(request))) return false;
    if (const auto* const get = std::get_if<proto::GetRange>(&request))
        return body == core::bytes_of(get->chunks, get->extent_length).count().value;
    if (std::holds_alternative<proto::GetDescriptor>(request))
        return body >= 1 && body <= limits::descriptor_bytes_max;
    if (const auto* const get = std::get_if<proto::GetHolders>(&request))
        return std::get<proto::HolderTable>(reply).root == get->root;
    if (std::holds_alternative<proto::GetHinted>(request))
        return std::get<proto::HolderTable>(reply).root.is_zero();
    if (const auto* const have = std::get_if<proto::Have>(&request))
        return std::get<proto::HaveReply>(reply).items.size() == have->items.size();
    if (const auto* const invite = std::get_if<proto::Invite>(&request))
        return std::get<proto::InviteReply>(reply).answers.size() == invite->items.size();
    return true;
}

/// A reply that fits, unless the input says otherwise.
Message reply_for(const Message& request, fuzz::Input& input) {
    const auto name = input.octet() < 230
                          ? reply_to(proto::message_name(request))
                          : proto::message_name(messages()[input.octet() % messages().size()]);
    auto reply = *std::ranges::find_if(
        messages(), [&](const Message& m) { return proto::message_name(m) == name; });
    const bool right = input.octet() < 230;
    if (auto* const held = std::get_if<proto::HaveReply>(&reply))
        if (const auto* const have = std::get_if<proto::Have>(&request))
            held->items.resize(have->items.size() + (right ? 0 : 1));
    if (auto* const invited = std::get_if<proto::InviteReply>(&reply))
        if (const auto* const invite = std::get_if<proto::Invite>(&request))
            invited->answers.resize(invite->items.size() + (right ? 0 : 1));
    if (auto* const table = std::get_if<proto::HolderTable>(&reply)) {
        const auto* const get = std::get_if<proto::GetHolders>(&request);
        table->root = right && get != nullptr ? get->root : RootHash{};
    }
    return reply;
}

std::uint64_t body_for(const Message& request, const Message& reply, fuzz::Input& input) {
    if (input.octet() >= 230) return input.number(limits::frame_body_bytes_max);
    if (const auto* const get = std::get_if<proto::GetRange>(&request))
        if (std::holds_alternative<proto::RangeReply>(reply))
            return core::bytes_of(get->chunks, get->extent_length).count().value;
    return std::holds_alternative<proto::DescriptorReply>(reply) ? 100 : 0;
}

/// A session, a model of it, and the time.
class Run {
  public:
    explicit Run(fuzz::Input input)
        : input_(input), session_({proto::sample_identity().public_key(), now_}) {
        model_.received = now_;
    }
    void all() {
        while (!input_.empty() && step())
            check();
    }

  private:
    void check() {
        session_.check_invariants();
        FLOW29_ASSERT(session_.ready() == model_.ready);
        FLOW29_ASSERT(session_.requests_in_flight() == model_.open.size() + model_.late.size());
        const bool dead = now_ >= model_.received + PeerSession::silence_max;
        FLOW29_ASSERT(session_.poll_dead(now_).has_value() == dead);
        // Nothing is to be done before the deadline.
        if (now_ < session_.next_deadline()) {
            FLOW29_ASSERT(!dead && !session_.poll_ping(now_) && !session_.poll_timed_out(now_));
        }
    }
    bool step() {
        switch (input_.octet() % 8) {
            case 0:
                now_ += std::chrono::milliseconds(input_.number(40'000));
                return true;
            case 1:
                ask();
                return true;
            case 2:
                ping();
                return true;
            case 3:
                time_out();
                return true;
            case 4:
                session_.on_received(now_);
                model_.received = now_;
                return true;
            case 5:
                return arrive(hello(), 0, input_.octet() < 20 ? 5 : 0);
            case 6:
                return reply();
            default: {
                const auto& message = messages()[input_.octet() % messages().size()];
                return arrive(message, input_.number(12), input_.octet() < 200 ? 0 : 512);
            }
        }
    }
    void ask() {
        const auto& message = messages()[input_.octet() % messages().size()];
        if (!proto::is_request(message)) return;
        const Duration idle_timeout = std::chrono::milliseconds(input_.number(20'000));
        const auto number = session_.open_request(message, idle_timeout, now_);
        const auto in_flight = model_.open.size() + model_.late.size();
        FLOW29_ASSERT(number.has_value() == (in_flight < limits::requests_in_flight_per_peer_max));
        if (number) enter(*number, message, idle_timeout);
    }
    void enter(std::uint64_t number, const Message& message, Duration idle_timeout) {
        FLOW29_ASSERT(number != 0 && numbers_.insert(number).second);
        model_.open.emplace(number, Model::Request{message, now_, idle_timeout});
    }
    void ping() {
        const auto number = session_.poll_ping(now_);
        if (!number) return;
        FLOW29_ASSERT(model_.ready && numbers_.insert(*number).second);
        FLOW29_ASSERT(!pinged_ || now_ >= *pinged_ + limits::ping_interval);
        pinged_ = now_;
        model_.ping ? void(model_.late.insert(*number)) : void(model_.ping = number);
    }
    void time_out() {
        const auto number = session_.poll_timed_out(now_);
        const auto any = std::ranges::any_of(
            model_.open, [&](const auto& entry) { return model_.is_due(entry.second, now_); });
        FLOW29_ASSERT(number.has_value() == any);
        if (!number) return;
        FLOW29_ASSERT(model_.is_due(model_.open.at(*number), now_));
        model_.open.erase(*number);
        model_.late.insert(*number);
    }
    Message hello() {
        auto message = std::get<proto::Hello>(messages().front());
        const auto choice = input_.octet();
        if (choice == 1) message.version = 0;
        if (choice == 2) message.record.key.bytes[0] ^= 1U;
        if (choice == 3) message.record.expires = fuzz::wall_now() - std::chrono::hours(1);
        if (choice == 4) message.record.expires = fuzz::wall_now() + std::chrono::hours(48);
        good_hello_ = choice == 0 || choice > 4;
        return message;
    }
    bool reply() {
        if (model_.ping && input_.octet() < 60) return arrive(proto::Pong{}, *model_.ping, 0);
        if (model_.open.empty()) return true;
        const auto place = input_.number(model_.open.size() - 1);
        const auto [number, request] =
            *std::next(model_.open.begin(), static_cast<std::ptrdiff_t>(place));
        const auto message = reply_for(request.message, input_);
        return arrive(message, number, body_for(request.message, message, input_));
    }

    bool count_update() {
        if (!model_.updates_until || now_ >= *model_.updates_until) {
            model_.updates = 0;
            model_.updates_until = now_ + std::chrono::hours(1);
        }
        return ++model_.updates <= limits::record_updates_max;
    }

    /// What the model says the event is: by its position in PeerSession::Event.
    std::size_t expected(const Message& message, std::uint64_t number, std::uint64_t body) {
        enum : std::size_t { ready, answered, asked, ping_asked, notified, ignored, violation };
        const auto name = proto::message_name(message);
        if (body != 0 && name != "range_reply" && name != "descriptor_reply" && name != "kept_list")
            return violation;
        if (name == "hello") return !model_.ready && good_hello_ ? ready : violation;
        if (!model_.ready) return violation;
        if (name == "ping") return ping_asked;
        if (name == "update_record") return count_update() ? notified : violation;
        if (!proto::is_reply(message)) return proto::is_request(message) ? asked : notified;
        if (model_.ping == number) return name == "pong" ? ignored : violation;
        if (model_.late.contains(number)) return ignored;
        const auto open = model_.open.find(number);
        if (open == model_.open.end()) return violation;
        return fits(open->second.message, message, body) ? answered : violation;
    }
    /// False when the connection ends.
    bool arrive(const Message& message, std::uint64_t number, std::uint64_t body) {
        if (!std::holds_alternative<proto::Hello>(message)) good_hello_ = false;
        const bool is_plain_hello = !good_hello_ && message == messages().front();
        if (is_plain_hello) good_hello_ = true;
        const auto kind = expected(message, number, body);
        const auto event =
            session_.on_head({number, message}, ByteCount(body), now_, fuzz::wall_now());
        model_.received = now_;
        FLOW29_ASSERT(event.index() == kind);
        if (std::holds_alternative<PeerSession::Violation>(event)) return false;
        model_.ready = model_.ready || std::holds_alternative<PeerSession::Ready>(event);
        if (std::holds_alternative<PeerSession::Ignored>(event)) {
            if (model_.ping == number)
                model_.ping.reset();
            else
                model_.late.erase(number);
        }
        if (const auto* const answered = std::get_if<PeerSession::Answered>(&event)) {
            FLOW29_ASSERT(answered->request == number && answered->reply == message);
            if (body == 0)
                model_.open.erase(number);
            else
                model_.arriving = number;
        }
        // The body comes in parts, and meanwhile other things happen, but no other head.
        for (auto parts = body == 0 ? 0 : input_.number(3); parts > 0; --parts) {
            now_ += std::chrono::milliseconds(input_.number(30'000));
            if (input_.flag()) {
                session_.on_received(now_);
                model_.received = now_;
            }
            time_out();
            check();
        }
        session_.on_body_end();
        if (model_.arriving) {
            model_.open.erase(*model_.arriving);
            model_.late.erase(*model_.arriving);
            model_.arriving.reset();
        }
        return true;
    }

    fuzz::Input input_;
    TimePoint now_ = proto::at(Duration::zero());
    PeerSession session_;
    Model model_;
    std::set<std::uint64_t> numbers_;
    std::optional<TimePoint> pinged_;
    bool good_hello_ = false;
};

}  // namespace

/// A session and a model of its rules see the same messages, and say the same of them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Run(fuzz::Input(data, size)).all();
    return 0;
}
