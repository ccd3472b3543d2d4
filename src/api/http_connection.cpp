// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_connection.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

namespace flow29::api {
namespace {

constexpr std::size_t buffer_bytes = 4'096;

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

bool is_ready(int socket, short events, milliseconds patience) {
    const auto until = Clock::now() + patience;
    pollfd waiting{.fd = socket, .events = events, .revents = 0};
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
        const int ready =
            ::poll(&waiting, 1, static_cast<int>(std::max<milliseconds::rep>(left.count(), 0)));
        if (ready > 0) return (waiting.revents & (events | POLLHUP | POLLERR)) != 0;
        if (ready == 0 || errno != EINTR) return false;
    }
}

using Name = int (*)(int, sockaddr*, socklen_t*);

void name_end(int socket, Name name, std::string& ip, int& port) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> service{};
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (name(socket, generic, &size) != 0 ||
        ::getnameinfo(generic, size, host.data(), host.size(), service.data(), service.size(),
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    ip = host.data();
    port = std::atoi(service.data());
}

}  // namespace

HttpConnection::HttpConnection(int socket, Bounds bounds)
    : socket_(socket),
      bounds_(bounds),
      head_until_(Clock::now() + bounds.head_time),
      left_(bounds.head_bytes) {}

bool HttpConnection::wait_for_octets() const {
    auto patience = bounds_.read_time;
    if (in_head_)
        patience = std::min(patience, std::chrono::ceil<milliseconds>(head_until_ - Clock::now()));
    return patience.count() > 0 && is_ready(socket_, POLLIN, patience);
}

bool HttpConnection::is_readable() const {
    return taken_ < buffer_.size() || (left_ > 0 && wait_for_octets());
}

bool HttpConnection::is_writable() const {
    return is_ready(socket_, POLLOUT, bounds_.write_time);
}

/// Follows the head to its end; what was read behind it is of the body. How many octets count.
std::size_t HttpConnection::follow(const char* octets, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
        if (!in_head_) {
            const auto of_body = std::min(left_, size - i);
            left_ -= of_body;
            return i + of_body;
        }
        --left_;
        if (octets[i] == '\n') {
            if (line_bytes_ == 0) {
                in_head_ = false;
                left_ = bounds_.body_bytes;
            }
            line_bytes_ = 0;
        } else if (octets[i] != '\r') {
            ++line_bytes_;
        }
    }
    return size;
}

bool HttpConnection::fill() {
    if (left_ == 0 || !wait_for_octets()) return false;
    buffer_.resize(std::min(left_, buffer_bytes));
    taken_ = 0;
    ssize_t got = 0;
    do {
        got = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN) && wait_for_octets());
    buffer_.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    buffer_.resize(follow(buffer_.data(), buffer_.size()));
    return got > 0;
}

ssize_t HttpConnection::read(char* to, std::size_t size) {
    if (taken_ == buffer_.size() && !fill()) return -1;
    const auto some = std::min(size, buffer_.size() - taken_);
    std::copy_n(buffer_.data() + taken_, some, to);
    taken_ += some;
    return static_cast<ssize_t>(some);
}

ssize_t HttpConnection::write(const char* from, std::size_t size) {
    while (is_writable()) {
        const ssize_t put = ::send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put >= 0 || (errno != EINTR && errno != EAGAIN)) return put;
    }
    return -1;
}

void HttpConnection::get_remote_ip_and_port(std::string& ip, int& port) const {
    name_end(socket_, ::getpeername, ip, port);
}

void HttpConnection::get_local_ip_and_port(std::string& ip, int& port) const {
    name_end(socket_, ::getsockname, ip, port);
}

}  // namespace flow29::api
