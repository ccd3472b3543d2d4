// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "cli/call.hpp"
#include "cli/options.hpp"

/// What each command does. All return the exit status, having reported what went wrong.
namespace flow29::cli {

int run_node(const NodeOptions& options, Context& context);

int run_publish(const PublishOptions& options, Context& context);
int run_fetch(const FetchOptions& options, Context& context);
int run_cat(const CatOptions& options, Context& context);

int run_locate(const LocateOptions& options, Context& context);
int run_health(const HealthOptions& options, Context& context);
int run_list(const ListOptions& options, Context& context);
int run_object(const ObjectOptions& options, Context& context);
int run_block(const BlockOptions& options, Context& context);
int run_transfer(const TransferOptions& options, Context& context);
int run_limit(const LimitOptions& options, Context& context);
int run_verify(const VerifyOptions& options, Context& context);
int run_log(const LogOptions& options, Context& context);
int run_web(const WebOptions& options, Context& context);
int run_leave(const LeaveOptions& options, Context& context);
int run_invite(Context& context);
int run_join(const JoinOptions& options, Context& context);

// These need neither a node nor its data directory.
int run_hash(const HashOptions& options, Output& output, Interrupt& interrupt);
int run_config(const ConfigOptions& options, const GlobalOptions& global, Output& output);
int run_version(Output& output);
int run_completion(const CompletionOptions& options, Output& output);
int run_manual(Output& output);

}  // namespace flow29::cli
