// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

#include <flow29/ids.hpp>
#include "core/endpoint.hpp"
#include "core/time.hpp"
#include "dht/datagram_guard.hpp"

namespace flow29::dht {

/// What goes in front of a datagram, as the field `f` of its outermost map.
struct PathField {
    using Code = std::array<std::uint8_t, 8>;
    static constexpr std::size_t octets_max = 1'024;

    Code first{};                  ///< a pass, or what is to be given back, or what was
    std::optional<Code> second{};  ///< in an answer: the pass that its receiver may show
    std::size_t filler = 0;        ///< octets after those, of no meaning

    [[nodiscard]] std::size_t octets() const { return (second ? 16 : 8) + filler; }
    bool operator==(const PathField&) const = default;
};

/// Decides what may be sent to an address that has not shown that it receives what is sent there.
/// A source address can be forged, and a node must not be worth using against others.
///
///     asker                                            answerer
///       | -- question, f: its code ‖ filler ------------> |   3 x what came may be answered
///       | <- answer, f: the asker's code ‖ a pass ------- |
///       | -- question, f: the pass ---------------------> |   answered in full
///
/// Rules:
/// 1. A question with a pass that this node gave to its address is answered, whatever that weighs.
///    Who sent it has received something there.
/// 2. Everybody else is answered with less than `answer_factor` times what came from there and has
///    not been spent; what is beyond it is dropped, as if it were lost. Who asks again has more.
/// 3. A question without a pass is made as long as its answer needs (`asked_with`). Rationale: an
///    honest node's first question is to be answered at once; later ones are short again.
/// 4. A ping or `find` to an address that asked, and never showed that it receives, is spent
///    likewise; of what is beyond it one goes in `beyond_again`. Rationale: OpenDHT and Greetings
///    look at newcomers, so a forged one would draw that as well; but who forges an address must
///    not keep a node from its owner, who answers that one. Look-ups ask with `get` and are not
///    counted.
/// 5. A pass is taken only with the code that was sent to the address it comes from. Rationale:
///    else who forges addresses could spoil what a node shows to another.
/// 6. A pass that is not answered is shown once: `answer_due` later the next question is a long
/// one.
///    Rationale: the other end may have begun anew.
/// 7. Codes and passes are keyed hashes of address and time, so that nothing is remembered of
///    whoever asks but its credit; `return_paths_max` addresses, of each kind. When that is full,
///    all are forgotten: long questions are none the worse for it.
class ReturnPaths {
  public:
    static constexpr std::size_t answer_factor = 3;
    static constexpr Duration answer_due = std::chrono::milliseconds(500);
    static constexpr Duration credit_lasts = std::chrono::minutes(10);
    static constexpr Duration beyond_again = std::chrono::minutes(1);
    /// A code or pass is good for this long, and twice as long at most.
    static constexpr Duration code_lasts = std::chrono::minutes(30);
    static constexpr Duration shown_lasts = std::chrono::hours(1);

    /// `secret`: of this socket, random.
    explicit ReturnPaths(const std::array<std::uint8_t, 32>& secret) : secret_(secret) {}

    /// A datagram of so many octets came. The field may be missing.
    void on_question(const core::Endpoint& from, const std::optional<PathField>& field,
                     std::size_t octets, TimePoint now);
    void on_answer(const core::Endpoint& from, const std::optional<PathField>& field,
                   TimePoint now);

    /// What goes with a question of so many octets, all else included.
    [[nodiscard]] PathField field_of_question(const core::Endpoint& to, DatagramKind kind,
                                              std::size_t octets, TimePoint now);
    /// Whether a question of so many octets, all included, may go; it is spent then.
    [[nodiscard]] bool may_ask(const core::Endpoint& to, DatagramKind kind, std::size_t octets,
                               TimePoint now);
    /// What goes with the next answer; nothing to whoever has a pass or wants none.
    [[nodiscard]] std::optional<PathField> field_of_answer(const core::Endpoint& to,
                                                           TimePoint now) const;
    /// Whether an answer of so many octets, all included, may go; it is spent then.
    [[nodiscard]] bool may_answer(const core::Endpoint& to, std::size_t octets, TimePoint now);

    [[nodiscard]] std::size_t remembered() const { return askers_.size() + asked_.size(); }

  private:
    struct Asker {
        std::size_t credit = 0;
        unsigned due = 0;  // answers in full
        TimePoint at{};
        std::optional<TimePoint> shown_at{};
        std::optional<TimePoint> beyond_at{};   // asked without credit
        std::optional<PathField::Code> code{};  // it wants this back
    };
    struct Asked {
        PathField::Code pass{};
        TimePoint given_at;
        std::optional<TimePoint> waits_since{};  // shown and not answered
        bool is_doubtful = false;
    };

    [[nodiscard]] PathField::Code code(char purpose, const core::Endpoint& endpoint,
                                       std::int64_t period) const;
    [[nodiscard]] bool is_code(const PathField::Code& shown, char purpose,
                               const core::Endpoint& endpoint, TimePoint now) const;
    [[nodiscard]] bool is_shown(const core::Endpoint& endpoint, const Asker& asker,
                                TimePoint now) const;

    std::array<std::uint8_t, 32> secret_;
    std::unordered_map<core::Endpoint, Asker> askers_;
    std::unordered_map<core::Endpoint, Asked> asked_;
};

/// Octets that a question of this kind has at least when no pass goes with it: a third of what the
/// longest answer to it weighs.
[[nodiscard]] std::size_t asked_with(DatagramKind kind);

/// What a field without filler adds to a datagram at most.
inline constexpr std::size_t path_field_bytes = 4 + 16;

/// Writes a datagram with the field in front of its other fields; filler is zeros. False when it is
/// no map of at most 14 fields, or the field has more than PathField::octets_max.
[[nodiscard]] bool add_path_field(ByteView datagram, const PathField& field, Bytes& out);
/// Takes the field off again, so that the rest is as it was. Filler of 8 octets or more is read as
/// `second` and the rest of it. Nothing when there is none, and nothing is altered then.
[[nodiscard]] std::optional<PathField> take_path_field(std::span<std::uint8_t>& datagram);

}  // namespace flow29::dht
