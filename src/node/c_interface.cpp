// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/flow29.h>

#include <fcntl.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <mutex>

#include <flow29/node.hpp>

#include "core/unique_fd.hpp"

using namespace flow29;

struct flow29_node {
    std::unique_ptr<Node> node;
};

namespace {

void put(flow29_error* out, int code, std::string_view message) {
    if (out == nullptr) return;
    out->code = code;
    const auto length = std::min(message.size(), sizeof out->message - 1);
    std::memcpy(out->message, message.data(), length);
    out->message[length] = '\0';
}

void put(flow29_error* out, const Error& error) {
    put(out, exit_code(error.code), error.message());
}

/// No exception may pass into C.
template <class T, class Body>
T guarded(flow29_error* error, T failed, Body body) {
    put(error, 0, "");
    try {
        return body();
    } catch (const std::exception& thrown) {
        put(error, 1, thrown.what());
        return failed;
    }
}

std::vector<std::string> list_of(const char* const* texts) {
    std::vector<std::string> list;
    for (; texts != nullptr && *texts != nullptr; ++texts)
        list.emplace_back(*texts);
    return list;
}

/// Waits for an operation that `begin` starts with a callback.
template <class T, class Begin>
Result<T> wait_for(Begin begin) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    begin([promise](Result<T> result) { promise->set_value(std::move(result)); });
    return future.get();
}

/// Bytes on their way from the node's thread to the caller's.
class Handover {
  public:
    void give(ByteView bytes, std::function<void(bool)> next) {
        const std::lock_guard lock(mutex_);
        bytes_ = bytes;
        next_ = std::move(next);
        changed_.notify_one();
    }
    void end(Result<FetchResult> result) {
        const std::lock_guard lock(mutex_);
        result_ = std::move(result);
        changed_.notify_one();
    }
    /// Hands everything to `sink`, until the end.
    Result<FetchResult> drain(flow29_sink sink, void* context) {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return next_ != nullptr || result_.has_value(); });
            if (next_ == nullptr) return std::move(*result_);
            const auto next = std::exchange(next_, nullptr);
            const auto bytes = bytes_;
            lock.unlock();
            next(sink(context, bytes.data(), bytes.size()) != 0);
            lock.lock();
        }
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    ByteView bytes_;                  // guarded by mutex_, as are the next two
    std::function<void(bool)> next_;  // not null: there are bytes
    std::optional<Result<FetchResult>> result_;
};

}  // namespace

const char* flow29_version(void) {
    return FLOW29_VERSION;
}

flow29_node* flow29_start(const flow29_config* config, flow29_error* error) {
    return guarded<flow29_node*>(error, nullptr, [&]() -> flow29_node* {
        if (config == nullptr || config->data == nullptr) {
            put(error, exit_code(Errc::usage), "a node needs a directory");
            return nullptr;
        }
        Config settings;
        settings.data = config->data;
        settings.bootstrap = list_of(config->bootstrap);
        settings.listen = list_of(config->listen);
        settings.port = config->port;
        settings.store = config->store != 0;
        if (config->capacity_bytes != 0) settings.capacity = ByteCount(config->capacity_bytes);
        auto node = Node::start(settings);
        if (node) return new flow29_node{std::move(*node)};
        put(error, node.error());
        return nullptr;
    });
}

void flow29_stop(flow29_node* node) {
    delete node;
}

uint16_t flow29_port(const flow29_node* node) {
    return node->node->port();
}

char* flow29_publish(flow29_node* node, const char* path, unsigned copies, unsigned flags,
                     flow29_error* error) {
    return guarded<char*>(error, nullptr, [&]() -> char* {
        const core::UniqueFd source(::open(path, O_RDONLY | O_CLOEXEC));
        PublishRequest request;
        request.fd = source.get();
        request.path = std::filesystem::absolute(path);
        request.name = request.path.filename().string();
        if (copies != 0) request.copies = copies;
        request.encrypt = (flags & FLOW29_PRIVATE) != 0;
        request.times = (flags & FLOW29_TIMES) != 0;
        const auto published = wait_for<PublishResult>(
            [&](auto done) { node->node->publish(std::move(request), {}, std::move(done)); });
        if (!published) {
            put(error, published.error());
            return nullptr;
        }
        if (published->copies.min < published->target)
            put(error, exit_code(Errc::partly_done), published->shortfall);
        return ::strdup(published->link.to_string().c_str());
    });
}

int flow29_fetch(flow29_node* node, const char* link, const char* path, unsigned flags,
                 flow29_error* error) {
    return guarded(error, -1, [&] {
        auto parsed = Link::parse(link);
        if (!parsed) {
            put(error, parsed.error());
            return -1;
        }
        FetchRequest request;
        request.link = std::move(*parsed);
        request.path = std::filesystem::absolute(path);
        request.overwrite = (flags & FLOW29_OVERWRITE) != 0;
        request.share = (flags & FLOW29_NO_SHARE) == 0;
        const auto fetched = wait_for<FetchResult>(
            [&](auto done) { node->node->fetch(std::move(request), {}, std::move(done)); });
        if (!fetched) put(error, fetched.error());
        return fetched ? 0 : -1;
    });
}

int flow29_stream(flow29_node* node, const char* link, flow29_sink sink, void* context,
                  flow29_error* error) {
    return guarded(error, -1, [&] {
        auto parsed = Link::parse(link);
        if (!parsed) {
            put(error, parsed.error());
            return -1;
        }
        StreamRequest request;
        request.link = std::move(*parsed);
        const auto handover = std::make_shared<Handover>();
        node->node->stream(
            std::move(request), {},
            [handover](ByteView bytes, std::function<void(bool)> next) {
                handover->give(bytes, std::move(next));
            },
            {}, [handover](Result<FetchResult> result) { handover->end(std::move(result)); });
        const auto streamed = handover->drain(sink, context);
        if (!streamed) put(error, streamed.error());
        return streamed ? 0 : -1;
    });
}

void flow29_free(char* text) {
    std::free(text);
}
