// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include <httplib.h>

namespace flow29::api {

/// A client's connection as the library reads and writes it, with the bounds that the library
/// lacks: it looks at a line of the head once that is whole, counts no lines, and waits for the
/// next octet as if it were the first.
///
/// Rules:
/// 1. Up to the blank line that ends the head, at most `head_bytes` are read, and until `head_time`
///    after the connection was taken up.
/// 2. After it at most `body_bytes` are, each waited for `read_time`.
/// 3. What is beyond that is not read; for the library the client has gone.
/// 4. A client that takes nothing for `write_time` has gone.
class HttpConnection final : public httplib::Stream {
  public:
    struct Bounds {
        std::size_t head_bytes;
        std::size_t body_bytes;
        std::chrono::milliseconds head_time;
        std::chrono::milliseconds read_time;
        std::chrono::milliseconds write_time;
    };

    /// The socket stays the caller's.
    HttpConnection(int socket, Bounds bounds);

    [[nodiscard]] bool is_readable() const override;
    [[nodiscard]] bool is_writable() const override;
    ssize_t read(char* to, std::size_t size) override;
    ssize_t write(const char* from, std::size_t size) override;
    void get_remote_ip_and_port(std::string& ip, int& port) const override;
    void get_local_ip_and_port(std::string& ip, int& port) const override;
    [[nodiscard]] socket_t socket() const override { return socket_; }

    /// Waits for the first octet; false when none came in time.
    [[nodiscard]] bool has_begun() const { return wait_for_octets(); }

  private:
    [[nodiscard]] bool wait_for_octets() const;
    [[nodiscard]] bool fill();
    std::size_t follow(const char* octets, std::size_t size);

    int socket_;
    Bounds bounds_;
    std::chrono::steady_clock::time_point head_until_;
    std::size_t left_;  // of the head, then of the body
    bool in_head_ = true;
    std::size_t line_bytes_ = 0;  // of the head's last line, its CR left out
    std::string buffer_;
    std::size_t taken_ = 0;  // of the buffer
};

}  // namespace flow29::api
