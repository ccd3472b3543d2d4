// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/object_stream.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace flow29::api {

struct ObjectStream::State {
    const bool head_only;
    std::stop_source stop;
    std::mutex mutex;
    std::condition_variable_any changed;
    // All below: under the mutex.
    std::optional<Head> head;
    std::optional<Bytes> piece;
    std::function<void(bool)> next;  // asks for what follows the piece
    std::optional<Error> error;
    bool ended = false;
    bool abandoned = false;

    explicit State(bool only) : head_only(only) {}

    void on_head(const Head& known) {
        {
            const std::lock_guard lock(mutex);
            head = known;
        }
        if (head_only) stop.request_stop();
        changed.notify_all();
    }

    void on_piece(ByteView bytes, std::function<void(bool)> ask) {
        const std::unique_lock lock(mutex);
        if (abandoned || head_only) return ask(false);
        if (bytes.empty()) return ask(true);
        piece.emplace(bytes.begin(), bytes.end());
        next = std::move(ask);
        changed.notify_all();
    }

    void on_done(Result<FetchResult> result) {
        {
            const std::lock_guard lock(mutex);
            ended = true;
            if (!result) error = result.error();
        }
        changed.notify_all();
    }
};

ObjectStream::ObjectStream(Node& node, Link link, const Options& options, std::stop_token stop)
    : state_(std::make_shared<State>(options.head_only)), stop_(std::move(stop)) {
    StreamRequest request;
    request.link = std::move(link);
    request.range = options.range;
    request.stop = state_->stop.get_token();
    node.stream(
        std::move(request),
        [state = state_](ObjectKind kind, ByteCount bytes, ByteRange range) {
            state->on_head({kind, bytes, range});
        },
        [state = state_](ByteView bytes, std::function<void(bool)> next) {
            state->on_piece(bytes, std::move(next));
        },
        {}, [state = state_](Result<FetchResult> result) { state->on_done(std::move(result)); });
}

ObjectStream::~ObjectStream() {
    std::function<void(bool)> next;
    {
        const std::lock_guard lock(state_->mutex);
        state_->abandoned = true;
        next = std::exchange(state_->next, {});
    }
    state_->stop.request_stop();
    if (next) next(false);
}

Result<ObjectStream::Head> ObjectStream::wait_head() {
    std::unique_lock lock(state_->mutex);
    const auto ready = [this] {
        const State& state = *state_;
        return state.ended || state.piece ||
               (state.head && (state.head_only || state.head->range.empty()));
    };
    if (!state_->changed.wait(lock, stop_, ready))
        return fail(Errc::interrupted, "the node is stopping");
    const bool is_known = state_->head && (state_->head_only || state_->piece || !state_->error);
    if (is_known) return *state_->head;
    return fail(state_->error.value_or(Error{Errc::other, "the stream ended early"}));
}

std::optional<Bytes> ObjectStream::next() {
    std::optional<Bytes> piece;
    std::function<void(bool)> next;
    {
        std::unique_lock lock(state_->mutex);
        const auto ready = [this] { return state_->piece || state_->ended; };
        if (!state_->changed.wait(lock, stop_, ready)) return std::nullopt;
        piece = std::exchange(state_->piece, {});
        next = std::exchange(state_->next, {});
    }
    if (next) next(true);
    return piece;
}

}  // namespace flow29::api
