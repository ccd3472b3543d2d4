// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/loose_mark.hpp"

#include "core/log.hpp"

namespace flow29::node {
namespace {
constexpr std::string_view setting = "loose_extents";
}  // namespace

asio::awaitable<void> LooseMark::set() {
    if (set_now_) co_return;
    set_now_ = true;
    co_await write(true);
}

asio::awaitable<bool> LooseMark::is_set() {
    auto& store = services_.store;
    auto read = [&store] {
        const auto mark = store.setting(setting);
        return mark && !mark->empty();
    };
    co_return co_await net::offload(services_.runtime, std::move(read));
}

asio::awaitable<void> LooseMark::clear() {
    if (set_now_) co_return;
    co_await write(false);
    if (set_now_) co_await write(true);  // it was set meanwhile
}

asio::awaitable<void> LooseMark::write(bool is_set) {
    auto& store = services_.store;
    auto job = [&store, is_set] { return store.set_setting(setting, is_set ? Bytes{1} : Bytes{}); };
    const auto written = co_await net::offload(services_.runtime, std::move(job));
    if (!written)
        core::log::warn("store", "loose extents not noted: {}", written.error().message());
}

}  // namespace flow29::node
