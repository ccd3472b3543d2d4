// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "cli/options.hpp"

namespace CLI {
class App;
}

namespace flow29::cli {

/// The tree of commands and what they write to. The options' targets live as long as it does.
class Grammar {
  public:
    Grammar();
    ~Grammar();
    Grammar(const Grammar&) = delete;
    Grammar& operator=(const Grammar&) = delete;

    [[nodiscard]] CLI::App& app() { return *app_; }
    [[nodiscard]] const GlobalOptions& global() const { return global_; }
    /// What the chosen command was given.
    [[nodiscard]] Command command(const std::string& name) const { return commands_.at(name)(); }

  private:
    using Chosen = std::function<Command()>;

    void add_global_options();
    void add_node();
    void add_publish();
    void add_fetch();
    void add_cat();
    void add_hash_and_locate();
    void add_health();
    void add_listings();
    void add_object_actions();
    void add_verify();
    void add_log_web_and_config();
    void add_leave();
    void add_block();
    void add_transfers();
    void add_limit();
    void add_swarm();
    void add_version_and_completion();

    /// `take` builds the command from the options once all are read.
    CLI::App& add(const std::string& name, const std::string& description,
                  const std::string& example, Chosen take);

    std::unique_ptr<CLI::App> app_;
    GlobalOptions global_;
    NodeOptions node_;
    PublishOptions publish_;
    FetchOptions fetch_;
    CatOptions cat_;
    HashOptions hash_;
    LocateOptions locate_;
    HealthOptions health_;
    ListOptions list_;
    ObjectOptions object_;
    VerifyOptions verify_;
    LogOptions log_;
    WebOptions web_;
    ConfigOptions config_;
    LeaveOptions leave_;
    BlockOptions block_;
    std::optional<TransferAction> transfer_action_;
    std::optional<std::uint64_t> transfer_id_;
    LimitOptions limit_;
    JoinOptions join_;
    CompletionOptions completion_;
    std::map<std::string, Chosen> commands_;
};

}  // namespace flow29::cli
