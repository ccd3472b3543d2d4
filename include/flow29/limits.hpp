// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

/// Every bound of the program in one place: sizes in bytes, counts, and times with their unit.
/// A bound on foreign data is checked before anything is allocated for it.
///
/// Here is what others, or who uses this node, can make it keep, read, hold open or wait for, with
/// the formats and defaults that people see. What a class does at a time (batches, look-ups, what
/// it asks of others) is tuning and stays with it, as does a bound that is one of a class's own
/// Rules. tests/bounds.txt says for each constant here which test reaches it, or why it is no
/// bound.
namespace flow29::limits {

using namespace std::chrono_literals;

// The object format. These enter hashes: changing one changes every root.
inline constexpr std::uint64_t chunk_bytes = 512;
inline constexpr unsigned hash_bytes = 32;

// Extents.
inline constexpr unsigned extent_level_max = 17;       ///< 2^17 chunks: 64 MiB
inline constexpr unsigned extent_level_auto_min = 11;  ///< 2^11 chunks: 1 MiB
inline constexpr std::uint64_t extent_bytes_max = chunk_bytes << extent_level_max;
inline constexpr std::uint64_t extents_per_object_max = 65'536;
inline constexpr std::uint64_t object_bytes_max = extent_bytes_max * extents_per_object_max;
inline constexpr std::uint64_t descriptor_bytes_max = extents_per_object_max * hash_bytes + 256;
inline constexpr unsigned hash_group_level = 5;  ///< a stored tree starts at 2^5 chunks: 16 KiB
inline constexpr std::uint64_t checksum_block_bytes = chunk_bytes << hash_group_level;

// The wire.
inline constexpr std::uint32_t frame_head_bytes_max = 256 * 1024;
inline constexpr std::uint32_t frame_body_bytes_max = 4 * 1024 * 1024;
inline constexpr std::uint64_t range_bytes_max = 1024 * 1024;  ///< of one request
inline constexpr unsigned proof_hashes_max = 2 * 64;
inline constexpr unsigned msgpack_depth_max = 8;
inline constexpr unsigned items_per_message_max = 4096;
inline constexpr unsigned table_entries_per_message = 2048;  ///< so that a head always fits
inline constexpr unsigned records_per_message_max = 256;
inline constexpr unsigned kept_changes_max = 2048;  ///< in one answer; beyond: a list
inline constexpr unsigned kept_parts_max = 256;     ///< of a list; a power of two
inline constexpr unsigned kept_names_per_part = 262'144;
inline constexpr unsigned short_name_bytes = 8;
inline constexpr auto lease_min = std::chrono::minutes(1);
inline constexpr auto lease_max = std::chrono::hours(24 * 366 * 10);
inline constexpr unsigned leases_per_message_max = 32;
inline constexpr unsigned addresses_per_record_max = 8;
inline constexpr unsigned requests_in_flight_per_peer_max = 256;
inline constexpr unsigned user_agent_bytes_max = 64;
inline constexpr unsigned error_text_bytes_max = 256;
/// Fields of a message that an earlier version does not know, and so skips, are counted too.
inline constexpr unsigned fields_per_message_max = 32;
inline constexpr std::uint64_t reply_bytes_max = 8 * 1024 * 1024;  ///< in the making for one peer
/// To all peers together: replies in the making and what waits to be sent; beyond, none is begun.
inline constexpr std::uint64_t owed_bytes_max = 128 * 1024 * 1024;
/// To one peer, waiting to be sent; the replies among them are bounded before.
inline constexpr std::uint64_t output_bytes_max = 4 * reply_bytes_max;
inline constexpr unsigned records_without_data_max = 8;  ///< of TLS, one after the other

// Connections.
inline constexpr unsigned peers_max = 512;
inline constexpr unsigned handshakes_max = 128;
inline constexpr unsigned arrivals_at_once_max = 1'024;  ///< connections of one /24 or /48 taken up
inline constexpr unsigned arrivals_per_second_max = 32;  ///< likewise, in the long run
inline constexpr unsigned arrival_groups_max = 4'096;    ///< of addresses, remembered for that
inline constexpr unsigned dial_backs_max = 8;            ///< for those who asked, at one time
inline constexpr unsigned dial_back_hosts_max = 4'096;   ///< remembered; then nobody new is dialled
inline constexpr unsigned record_updates_max = 60;       ///< of one connection, in an hour
inline constexpr unsigned conduct_nodes_max = 4'096;     ///< whose behaviour is remembered
/// Addresses that rest after a dial in vain, and hosts where that was tried: of each so many.
inline constexpr std::size_t dials_remembered_max = 4'096;
inline constexpr std::size_t bootstrap_points_max = 64;  ///< dialled while nobody is connected
inline constexpr std::size_t surveyed_max = 128;         ///< connected nodes asked what they keep
inline constexpr std::size_t sealers_max = 16'384;       ///< sockets of members that are remembered
inline constexpr std::size_t lan_nodes_max = 256;  ///< heard on the LAN; then all are forgotten
inline constexpr std::size_t lan_calls_max = 16;   ///< of our own, known again when they are heard
inline constexpr auto connect_timeout = 5s;
inline constexpr auto handshake_timeout = 10s;
inline constexpr auto request_idle_timeout = 20s;
inline constexpr auto ping_interval = 3s;
inline constexpr auto tcp_user_timeout = 8s;
/// Bytes a second, how fast `verify` reads what is kept here: a disk of the slow kind does twice
/// that, so others are still served.
inline constexpr std::uint64_t verify_rate = 64 * 1024 * 1024;
/// Bytes a second, the least a limit may be: connections and the DHT have to be kept up.
inline constexpr std::uint64_t line_rate_min = 8 * 1024;

// The DHT.
inline constexpr std::size_t datagram_bytes_max = 1'500;
inline constexpr std::size_t record_bytes_max = 590;  ///< packed; one datagram carries it
inline constexpr auto record_lifetime_max = 24h;
inline constexpr auto record_clock_tolerance = 10min;
inline constexpr unsigned records_per_key_max = 64;
inline constexpr unsigned records_per_group_max = 2;  ///< signers per /24 or /48 at one key
/// About so many records are put for an object's extents, by all holders together; single chunks
/// all have theirs.
inline constexpr unsigned extent_records_per_object = 128;
/// A node puts the record of itself as often; it is good for four times as long.
inline constexpr auto own_record_period = 6h;
inline constexpr unsigned dht_client_operations_max = 3'000;
inline constexpr auto dht_client_age_max = 10min;
inline constexpr std::size_t index_operations_max = 65'536;  ///< waiting or running; then refused
inline constexpr std::size_t bootstrap_endpoints_max = 64;   ///< pinged while there is no neighbour
/// Addresses that proved an id, of all and of one /24 or /48; and that a proof was made for.
inline constexpr std::size_t ids_proven_max = 16'384;
inline constexpr std::size_t ids_proven_per_group_max = 256;
inline constexpr std::size_t id_proofs_made_max = 16'384;
inline constexpr unsigned id_checks_per_second_max = 512;  ///< signatures looked at
inline constexpr unsigned id_checks_per_group_max = 64;    ///< likewise, of one /24 or /48
inline constexpr unsigned greetings_per_second_max = 32;
inline constexpr std::size_t greeted_max = 4'096;  ///< addresses remembered; then nobody is
/// Addresses whose questions, and whose passes, are remembered: of each so many.
inline constexpr std::size_t return_paths_max = 16'384;
inline constexpr std::size_t answer_credit_max = 8 * 1'024;  ///< octets that an address may save up
inline constexpr unsigned answers_due_max = 256;             ///< in full, to one address

// Copies.
inline constexpr unsigned copies_default = 4;
inline constexpr unsigned copies_max = 16;
inline constexpr unsigned candidates_max = 20;          ///< nodes near a key that placement ranks
inline constexpr unsigned hints_max = 100'000;          ///< remembered by one node
inline constexpr unsigned hints_per_node_max = 20'000;  ///< of one that gave them
inline constexpr unsigned hinted_nodes = 3;             ///< nearest nodes that are told of an item
inline constexpr auto hint_lifetime = 24h;
/// For so long who pledged to keep an item keeps it, so that another may let it go.
inline constexpr auto pledge_lifetime = 2min;
inline constexpr auto lease_default = 24h * 365;
inline constexpr auto lease_clock_tolerance = 10min;
inline constexpr unsigned quota_publisher_default = 50;  ///< percent of the capacity
inline constexpr unsigned quota_group_default = 75;
inline constexpr std::size_t node_prefix_min = 8;  ///< digits that may stand for a node's id
inline constexpr unsigned blocked_max = 4'096;     ///< nodes, and objects, an operator can block
inline constexpr unsigned pledges_max = 65'536;    ///< in force
/// Accepted and not here yet; from one network no more than is left for others.
inline constexpr std::uint64_t coming_bytes_max = 4ULL << 30;
inline constexpr std::size_t coming_items_max = 262'144;    ///< likewise
inline constexpr unsigned awaited_extents_max = 131'072;    ///< of parts of what is being hashed
inline constexpr std::size_t turned_away_max = 1'024;       ///< nodes that are told of room
inline constexpr std::size_t lease_news_max = 4'096;        ///< leases that others are told of
inline constexpr std::size_t leases_told_max = 256;         ///< at a time; the others later
inline constexpr std::size_t withdrawals_told_max = 1'024;  ///< to one who appears
/// Of the nodes that one peer names as near to a key so many are dialled.
inline constexpr std::size_t closest_named_max = candidates_max;

// What a store remembers of others.
inline constexpr unsigned holders_per_item_max = 64;  ///< further ones are left out
inline constexpr unsigned leases_per_root_max = 256;  ///< of different publishers; then refused
inline constexpr unsigned shares_max = 4'096;         ///< sums kept; beyond it all are made anew
inline constexpr unsigned node_records_max = 4'096;   ///< the least recently seen one goes

// Downloads.
inline constexpr unsigned download_peers_max = 4'096;  ///< heard of for one download

// What the page shows and takes.
inline constexpr std::size_t cells_max = 256;            ///< of a transfer's extent map
inline constexpr std::size_t map_parts_max = 513;        ///< of an object's map, as JSON
inline constexpr std::size_t uploads_max = 32;           ///< files on their way from a browser
inline constexpr std::size_t upload_files_max = 20'000;  ///< of one directory
inline constexpr std::size_t upload_slice_bytes_max = 1024 * 1024;
inline constexpr auto upload_idle_max = std::chrono::hours(1);
inline constexpr std::size_t jobs_max = 512;  ///< begun from the page; running, or their outcome
inline constexpr unsigned event_streams_max = 6;
/// Until the page or the gateway serves them; more are closed.
inline constexpr std::size_t http_connections_waiting_max = 256;
inline constexpr std::size_t http_head_bytes_max = 64 * 1024;         ///< of a request
inline constexpr auto http_head_time_max = std::chrono::seconds(10);  ///< until it is there
inline constexpr std::size_t directory_rows_max = 10'000;  ///< of a directory's page of the gateway

// Programs on this machine.
inline constexpr std::size_t control_connections_max = 64;
inline constexpr std::size_t control_line_bytes_max = 1024 * 1024;  ///< of a request
/// Of an answer of this user's own node: it may list a million paths.
inline constexpr std::size_t control_answer_bytes_max = 512ULL * 1024 * 1024;
inline constexpr std::size_t json_depth_max = 32;          ///< of what others write
inline constexpr std::size_t control_descriptors_max = 2;  ///< with one request
/// To a caller who does not read; then only the last line is added.
inline constexpr std::size_t control_lines_waiting_max = 256;
/// Threads in place of workers that wait for callers.
inline constexpr std::size_t workers_extra_max = 4 * control_connections_max;
inline constexpr std::size_t folders_entered_max = 16;  ///< of a caller's, by one request
inline constexpr std::size_t folder_packet_bytes_max = 64 * 1024;  ///< from and to a caller's

// Directories.
inline constexpr unsigned manifest_entries_max = 1'000'000;
inline constexpr unsigned manifest_directories_max = 1'000'000;  ///< that its paths lie in
/// Of one of a caller's, as he lists it: directories are in it that no manifest names.
inline constexpr std::size_t folder_entries_max = 2 * manifest_entries_max;
inline constexpr std::uint64_t manifest_bytes_max = 64ULL << 20;
inline constexpr unsigned path_bytes_max = 4'095;  ///< what Linux opens
inline constexpr unsigned path_component_bytes_max = 255;

static_assert(range_bytes_max <= frame_body_bytes_max);
static_assert(descriptor_bytes_max <= frame_body_bytes_max);
static_assert(kept_names_per_part * short_name_bytes <= frame_body_bytes_max);
static_assert(kept_changes_max <= items_per_message_max);
static_assert(range_bytes_max % chunk_bytes == 0);
static_assert(extent_level_auto_min <= extent_level_max);

}  // namespace flow29::limits
