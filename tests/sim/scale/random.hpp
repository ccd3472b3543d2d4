// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cmath>
#include <cstdint>

namespace flow29::sim::scale {

/// SplitMix64 (Steele, Lea and Flood 2014): eight bytes of state, so that each of ten thousand
/// session processes has its own and a change of policy does not change who is up when.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t operator()() {
        state_ += 0x9e3779b97f4a7c15U;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
        return mixed ^ (mixed >> 31);
    }
    /// In (0, 1): neither end is reached.
    double uniform() { return std::ldexp(static_cast<double>((*this)() >> 12) + 0.5, -52); }
    /// Exponentially distributed with mean 1.
    double exponential() { return -std::log(uniform()); }
    /// In [0, bound). Requires bound > 0; biased by less than 2^-32 for the bounds used here.
    std::uint64_t below(std::uint64_t bound) { return (*this)() % bound; }

  private:
    std::uint64_t state_;
};

}  // namespace flow29::sim::scale
