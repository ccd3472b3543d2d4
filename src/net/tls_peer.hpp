// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "net/runtime.hpp"
#include "net/throttle.hpp"
#include "net/tls_frames.hpp"
#include "net/tls_stream.hpp"
#include "net/transport.hpp"
#include "proto/reply_budget.hpp"
#include "proto/session.hpp"
#include "proto/session_inbox.hpp"

#include <functional>
#include <map>
#include <memory>

namespace flow29::net {

/// Whom a connection tells what happens on it; its transport. Outlives every connection.
class TlsPeerOwner {
  public:
    virtual ~TlsPeerOwner() = default;
    /// Nothing once the transport has ended.
    [[nodiscard]] virtual PeerHandler* handler() = 0;
    /// What the connections' octets share.
    [[nodiscard]] virtual Throttle& up() = 0;
    [[nodiscard]] virtual Throttle& down() = 0;
    /// What the connections' replies share.
    [[nodiscard]] virtual const proto::ReplyBudget& budget() = 0;
    virtual void on_owed(const class TlsPeer& peer, ByteCount before, ByteCount now) = 0;
    /// Has TlsPeer::go_on called when there may be room for its next reply.
    virtual void wait_for_room(const std::shared_ptr<class TlsPeer>& peer) = 0;
    virtual void on_closed(const std::shared_ptr<class TlsPeer>& peer, const Error& reason) = 0;
};

/// One connection: moves frames between the stream and the session, which decides.
///
/// It is alive while anybody holds it, its own reading and writing included; `close` ends those.
class TlsPeer final : public Peer, public std::enable_shared_from_this<TlsPeer> {
  public:
    struct Options {
        std::shared_ptr<TlsPeerOwner> owner;
        std::shared_ptr<TlsStream> stream;
        PublicKey key;  ///< that TLS proved
        core::Endpoint remote;
        bool dialled = false;
    };

    TlsPeer(Runtime& runtime, Options options);
    ~TlsPeer() override;

    /// Exchanges hellos. Once only, before anything else. `opening`, if any, goes out behind ours.
    [[nodiscard]] static asio::awaitable<Result<void>> greet(std::shared_ptr<TlsPeer> self,
                                                             proto::Hello hello,
                                                             OpeningPtr opening);
    /// Begins to read; from now on the handler hears of what the peer wants.
    void start();
    /// There may be room for a reply.
    void go_on();
    /// Since when there has been none for the next one; nothing: there is, or none is wanted.
    [[nodiscard]] std::optional<TimePoint> short_of_room_since() const { return short_since_; }
    /// What is owed to it, as the owner was told.
    [[nodiscard]] ByteCount owed() const { return owed_; }
    /// Whether its end takes nothing just now.
    [[nodiscard]] bool is_stalled() const { return stalled_since_.has_value(); }
    /// Where the peer says it sees us.
    [[nodiscard]] const core::Endpoint& observed() const { return observed_; }

    [[nodiscard]] const NodeId& id() const override { return id_; }
    [[nodiscard]] const proto::NodeRecord& record() const override { return record_; }
    [[nodiscard]] const core::Endpoint& remote() const override { return remote_; }
    [[nodiscard]] bool dialled() const override { return dialled_; }
    [[nodiscard]] bool open() const override { return open_; }
    [[nodiscard]] PeerTraffic traffic() const override;
    [[nodiscard]] std::chrono::milliseconds clock_skew() const override { return clock_skew_; }
    [[nodiscard]] asio::awaitable<Result<Reply>> request(proto::Message request,
                                                         Duration idle_timeout) override;
    void notify(proto::Message message) override;
    void close(Error reason) override;

  private:
    using Done = std::function<void(Result<Reply>)>;
    struct Lifeline;

    [[nodiscard]] static asio::awaitable<void> read_loop(std::shared_ptr<TlsPeer> self);
    [[nodiscard]] static asio::awaitable<void> write_loop(std::shared_ptr<TlsPeer> self);
    [[nodiscard]] static asio::awaitable<void> serve(std::shared_ptr<TlsPeer> self,
                                                     std::uint64_t request, proto::Message message);
    [[nodiscard]] asio::awaitable<Result<void>> read_frame();
    [[nodiscard]] asio::awaitable<Result<void>> receive_reply(proto::PeerSession::Answered answered,
                                                              ByteCount body);
    [[nodiscard]] Result<void> dispatch(proto::PeerSession::Event event);

    void send(std::uint64_t request, const proto::Message& message, core::Buffer body,
              proto::FairShare::Class as = proto::FairShare::Class::foreground);
    void wake_writer();
    void answer(std::uint64_t request, Result<Reply> result, proto::FairShare::Class as);
    void begin_waiting_requests();
    void count_owed();
    void complete(std::uint64_t request, Result<Reply> result);
    void abandon();
    void ask_opening(OpeningPtr opening);
    void arm_timer();
    void on_timer(TimePoint due);
    void poll_session();
    [[nodiscard]] TimePoint next_deadline() const;

    Runtime& runtime_;  // outlives the transport
    std::shared_ptr<TlsPeerOwner> owner_;
    std::shared_ptr<TlsStream> stream_;
    Signal input_turn_;
    Signal output_ready_;
    ThrottledFlow down_;
    ThrottledFlow up_;
    FrameReader reader_;
    FrameWriter writer_;
    proto::PeerSession session_;
    proto::RequestInbox inbox_;
    std::map<std::uint64_t, Done> pending_;

    NodeId id_;
    proto::NodeRecord record_;
    core::Endpoint remote_;
    core::Endpoint observed_;
    std::chrono::milliseconds clock_skew_{};
    bool dialled_;
    bool open_ = true;
    bool writer_idle_ = false;
    ByteCount owed_;
    std::optional<TimePoint> short_since_;
    bool waits_for_room_ = false;             // in the owner's line
    std::optional<TimePoint> stalled_since_;  // since when the socket has taken nothing
    std::optional<Runtime::TimerId> timer_;
    TimePoint timer_due_;
};

}  // namespace flow29::net
