// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/tls_peer.hpp"

#include <flow29/limits.hpp>

#include "core/assert.hpp"
#include "core/log.hpp"

#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>

namespace flow29::net {
namespace {

using proto::PeerSession;

constexpr std::size_t reader_turn_bytes = 256 * 1024;  // as the writer's
// A timer that comes this late means that this process stood still, not the peer.
constexpr Duration own_stall = std::chrono::seconds(1);
constexpr Duration write_stall_max = limits::request_idle_timeout;

}  // namespace

/// Held by the loops. When the runtime ends, their frames are destroyed where they wait; what then
/// still waits for replies would keep the peer, and the peer it, for ever. A loop that ends by
/// itself has closed the peer, so nothing is left to abandon.
struct TlsPeer::Lifeline {
    std::shared_ptr<TlsPeer> peer;
    explicit Lifeline(std::shared_ptr<TlsPeer> p) : peer(std::move(p)) {}
    Lifeline(const Lifeline&) = delete;
    ~Lifeline() { peer->abandon(); }
};

TlsPeer::TlsPeer(Runtime& runtime, Options options)
    : runtime_(runtime),
      owner_(std::move(options.owner)),
      stream_(std::move(options.stream)),
      input_turn_(runtime),
      output_ready_(runtime),
      down_(owner_->down(), [this] { input_turn_.notify_all(); }),
      up_(owner_->up(), [this] { wake_writer(); }),
      reader_(*stream_, down_, input_turn_, [this] { session_.on_received(runtime_.now()); }),
      writer_(*stream_, up_),
      session_({.peer_key = options.key, .now = runtime.now()}),
      id_(core::node_id_of(options.key)),
      remote_(options.remote),
      dialled_(options.dialled) {}

TlsPeer::~TlsPeer() = default;

PeerTraffic TlsPeer::traffic() const {
    return {writer_.octets_written(), reader_.octets_read(), session_.rtt().smoothed()};
}

asio::awaitable<Result<void>> TlsPeer::greet(std::shared_ptr<TlsPeer> self, proto::Hello hello,
                                             OpeningPtr opening) {
    spawn(self->runtime_, write_loop(self));
    self->send(0, std::move(hello), {});
    if (opening) self->ask_opening(std::move(opening));
    auto frame = co_await self->reader_.next();
    if (!frame) co_return fail(std::move(frame.error()));
    auto event = self->session_.on_head(std::move(frame->head), frame->body, self->runtime_.now(),
                                        self->runtime_.wall_now());
    if (auto* const violation = std::get_if<PeerSession::Violation>(&event))
        co_return fail(std::move(violation->error));
    auto& ready = std::get<PeerSession::Ready>(event);
    self->record_ = std::move(ready.hello.record);
    self->observed_ = ready.hello.observed;
    self->clock_skew_ = ready.clock_skew;
    co_return Result<void>{};
}

void TlsPeer::ask_opening(OpeningPtr opening) {
    const auto number =
        session_.open_request(opening->request(), opening->idle_timeout(), runtime_.now());
    if (!number) return;
    pending_.emplace(*number,
                     [opening](Result<Reply> reply) { opening->answer(std::move(reply)); });
    opening->set_sent();
    send(*number, opening->request(), {});
}

void TlsPeer::start() {
    FLOW29_ASSERT(session_.ready());
    if (!open_) return;
    poll_session();
    spawn(runtime_, read_loop(shared_from_this()));
}

asio::awaitable<void> TlsPeer::read_loop(std::shared_ptr<TlsPeer> self) {
    const Lifeline lifeline(self);
    while (self->open_) {
        auto done = co_await self->read_frame();
        if (!done) self->close(std::move(done.error()));
        if (self->reader_.octets_this_turn() >= reader_turn_bytes) {
            self->reader_.begin_turn();
            const auto executor = self->runtime_.executor();
            co_await asio::post(executor, asio::use_awaitable);
        }
    }
}

asio::awaitable<Result<void>> TlsPeer::read_frame() {
    auto frame = co_await reader_.next();
    if (!frame) co_return fail(std::move(frame.error()));
    if (!open_) co_return fail(Errc::peer_unreachable, "the connection is closed");
    auto event =
        session_.on_head(std::move(frame->head), frame->body, runtime_.now(), runtime_.wall_now());
    arm_timer();
    if (auto* const answered = std::get_if<PeerSession::Answered>(&event)) {
        auto received = co_await receive_reply(std::move(*answered), frame->body);
        co_return received;
    }
    auto dispatched = dispatch(std::move(event));
    if (!dispatched || frame->body.value == 0) co_return dispatched;
    auto skipped = co_await reader_.skip_body(frame->body);
    session_.on_body_end();
    co_return skipped;
}

asio::awaitable<Result<void>> TlsPeer::receive_reply(PeerSession::Answered answered,
                                                     ByteCount body) {
    core::Buffer octets(body.value);
    if (body.value != 0) {
        auto received = co_await reader_.read_body(octets.span());
        if (!received) co_return received;
        session_.on_body_end();
    }
    if (const auto* const failure = std::get_if<proto::Failure>(&answered.reply))
        complete(answered.request, fail(failure->code, failure->text));
    else
        complete(answered.request, Reply{std::move(answered.reply), std::move(octets)});
    co_return Result<void>{};
}

Result<void> TlsPeer::dispatch(PeerSession::Event event) {
    if (auto* const violation = std::get_if<PeerSession::Violation>(&event))
        return fail(std::move(violation->error));
    if (auto* const asked = std::get_if<PeerSession::Asked>(&event)) {
        auto accepted = inbox_.on_request(asked->request, std::move(asked->message));
        if (accepted) begin_waiting_requests();
        return accepted;
    }
    if (const auto* const ping = std::get_if<PeerSession::PingAsked>(&event))
        send(ping->request, proto::Pong{}, {});
    PeerHandler* const handler = owner_->handler();
    if (auto* const notified = std::get_if<PeerSession::Notified>(&event); notified && handler) {
        if (auto* const update = std::get_if<proto::UpdateRecord>(&notified->message))
            record_ = update->record;
        handler->on_notification(shared_from_this(), std::move(notified->message));
    }
    return {};
}

asio::awaitable<void> TlsPeer::write_loop(std::shared_ptr<TlsPeer> self) {
    const Lifeline lifeline(self);
    while (self->open_) {
        const std::uint64_t before = self->writer_.octets_written();
        const FrameWriter::Turn turn = self->writer_.pump();
        if (self->writer_.octets_written() != before) self->stalled_since_.reset();
        self->begin_waiting_requests();
        if (turn == FrameWriter::Turn::ended) {
            self->close(self->stream_->error());
        } else if (turn == FrameWriter::Turn::idle || turn == FrameWriter::Turn::wants_turn) {
            // What the line above began may have sent something meanwhile.
            if (turn == FrameWriter::Turn::idle && self->writer_.waiting().value != 0) continue;
            self->writer_idle_ = true;
            co_await self->output_ready_.wait();
            self->writer_idle_ = false;
        } else if (turn == FrameWriter::Turn::spent) {
            const auto executor = self->runtime_.executor();
            co_await asio::post(executor, asio::use_awaitable);
        } else {
            if (!self->stalled_since_) self->stalled_since_ = self->runtime_.now();
            const auto wanted = turn == FrameWriter::Turn::wants_read
                                    ? TlsStream::Status::wants_read
                                    : TlsStream::Status::wants_write;
            const bool ready = co_await self->stream_->wait(wanted);
            if (!ready) self->close({Errc::peer_unreachable, "the connection is closed"});
        }
    }
}

asio::awaitable<void> TlsPeer::serve(std::shared_ptr<TlsPeer> self, std::uint64_t request,
                                     proto::Message message) {
    PeerHandler* const handler = self->owner_->handler();
    if (handler == nullptr) co_return;
    PeerPtr peer = self;
    const auto* const range = std::get_if<proto::GetRange>(&message);
    const auto as = range != nullptr && range->background ? proto::FairShare::Class::background
                                                          : proto::FairShare::Class::foreground;
    auto result = co_await handler->on_request(std::move(peer), std::move(message));
    self->answer(request, std::move(result), as);
}

void TlsPeer::begin_waiting_requests() {
    while (open_) {
        count_owed();
        const ByteCount room = owner_->budget().room(remote_.group(), owed_);
        auto entry = inbox_.poll_start(writer_.waiting(), room);
        if (entry) {
            short_since_.reset();
            spawn(runtime_, serve(shared_from_this(), entry->request, std::move(entry->message)));
            continue;
        }
        if (!inbox_.is_short_of_room(writer_.waiting(), room)) break;
        if (!short_since_) short_since_ = runtime_.now();
        if (!std::exchange(waits_for_room_, true)) owner_->wait_for_room(shared_from_this());
        break;
    }
}

void TlsPeer::count_owed() {
    const ByteCount now = open_ ? inbox_.in_the_making() + writer_.held() : ByteCount(0);
    const ByteCount before = std::exchange(owed_, now);
    if (before != now) owner_->on_owed(*this, before, now);
}

void TlsPeer::go_on() {
    waits_for_room_ = false;
    begin_waiting_requests();
}

void TlsPeer::answer(std::uint64_t request, Result<Reply> result, proto::FairShare::Class as) {
    inbox_.on_answered(request);
    if (!open_) return;
    if (result) {
        FLOW29_ASSERT(proto::is_reply(result->message));
        send(request, result->message, std::move(result->body), as);
    } else {
        send(request, proto::Failure{result.error().code, result.error().context}, {});
    }
    begin_waiting_requests();
}

void TlsPeer::send(std::uint64_t request, const proto::Message& message, core::Buffer body,
                   proto::FairShare::Class as) {
    if (!open_) return;
    Bytes head = proto::encode_head(request, message);
    if (head.size() > limits::frame_head_bytes_max) {
        core::log::error("net", "{} of {} bytes is too long to send", proto::message_name(message),
                         head.size());
        if (!proto::is_reply(message)) return;
        head = proto::encode_head(request, proto::Failure{Errc::other, "the reply is too long"});
        body = {};
    }
    writer_.push(head, std::move(body), as);
    count_owed();
    // Replies are bounded by the inbox; this bounds what it does not count, such as pongs.
    if (writer_.waiting().value > limits::output_bytes_max) {
        close({Errc::peer_unreachable, "the peer does not read what it is sent"});
        return;
    }
    wake_writer();
}

void TlsPeer::wake_writer() {
    if (writer_idle_) output_ready_.notify_all();
    writer_idle_ = false;
}

asio::awaitable<Result<Reply>> TlsPeer::request(proto::Message request, Duration idle_timeout) {
    const auto self = shared_from_this();
    if (!open_) co_return fail(Errc::peer_unreachable, "the connection is closed");
    const auto number = session_.open_request(request, idle_timeout, runtime_.now());
    if (!number) co_return fail(number.error());
    std::function<void(Done)> start = [this, number](Done done) {
        pending_.emplace(*number, std::move(done));
        if (!open_) complete(*number, fail(Errc::peer_unreachable, "the connection is closed"));
    };
    send(*number, request, {});
    arm_timer();
    auto result = co_await await_callback<Result<Reply>>(std::move(start));
    co_return result;
}

void TlsPeer::notify(proto::Message message) {
    FLOW29_ASSERT(!proto::is_request(message));
    FLOW29_ASSERT(!proto::is_reply(message));
    send(0, message, {});
}

void TlsPeer::complete(std::uint64_t request, Result<Reply> result) {
    // Nobody waits any more when the request has timed out.
    auto entry = pending_.extract(request);
    if (!entry.empty()) entry.mapped()(std::move(result));
}

void TlsPeer::abandon() {
    const auto dropped = std::exchange(pending_, {});
}

void TlsPeer::close(Error reason) {
    if (!open_) return;
    const auto self = shared_from_this();
    // A farewell that was notified a moment ago still goes out, if that needs no waiting.
    static_cast<void>(writer_.pump());
    open_ = false;
    short_since_.reset();
    count_owed();
    stream_->close();
    if (timer_) runtime_.cancel_timer(*timer_);
    timer_.reset();
    output_ready_.notify_all();
    input_turn_.notify_all();
    auto pending = std::exchange(pending_, {});
    for (auto& [request, done] : pending)
        done(fail(Errc::peer_unreachable, reason.message()));
    owner_->on_closed(self, reason);
}

TimePoint TlsPeer::next_deadline() const {
    const TimePoint deadline = session_.next_deadline();
    return stalled_since_ ? std::min(deadline, *stalled_since_ + write_stall_max) : deadline;
}

void TlsPeer::arm_timer() {
    if (!open_) return;
    const TimePoint due = next_deadline();
    if (timer_ && timer_due_ <= due) return;
    if (timer_) runtime_.cancel_timer(*timer_);
    timer_due_ = due;
    timer_ = runtime_.add_timer(due, [weak = weak_from_this(), due] {
        if (const auto self = weak.lock()) self->on_timer(due);
    });
}

void TlsPeer::on_timer(TimePoint due) {
    timer_.reset();
    if (!open_) return;
    if (runtime_.now() > due + own_stall) {
        // Let what came meanwhile be read first: it may well be what was waited for.
        const TimePoint later = runtime_.now() + own_stall;
        timer_due_ = later;
        timer_ = runtime_.add_timer(later, [weak = weak_from_this(), later] {
            if (const auto self = weak.lock()) self->on_timer(later);
        });
        return;
    }
    poll_session();
}

void TlsPeer::poll_session() {
    const TimePoint now = runtime_.now();
    // While we do not read, it is not the peer who is silent.
    if (down_.waits()) session_.on_received(now);
    if (auto dead = session_.poll_dead(now)) return close(std::move(*dead));
    if (stalled_since_ && now >= *stalled_since_ + write_stall_max)
        return close({Errc::timed_out, "the peer takes nothing"});
    while (const auto request = session_.poll_timed_out(now))
        complete(*request, fail(Errc::timed_out, "the peer sent nothing for too long"));
    if (const auto ping = session_.poll_ping(now)) send(*ping, proto::Ping{}, {});
    arm_timer();
}

}  // namespace flow29::net
