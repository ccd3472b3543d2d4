// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/sqlite.hpp"

#include "core/assert.hpp"
#include "store/checksum.hpp"
#include "store/file.hpp"

#include <sqlite3.h>

#include <fcntl.h>

#include <cerrno>
#include <unordered_map>
#include <utility>

namespace flow29::store {
namespace {

Errc code_of(int status, int system_errno) {
    if (system_errno == ENOSPC || system_errno == EDQUOT) return Errc::no_space;
    switch (status & 0xff) {
        case SQLITE_FULL:
            return Errc::no_space;
        // Our statements are right, so one that makes no sense is about tables that are not what
        // they were.
        case SQLITE_ERROR:
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return Errc::corrupt_store;
        default:
            return Errc::file_error;
    }
}

tl::unexpected<Error> fail_sqlite(sqlite3* connection, bool& met_damage) {
    const int status = sqlite3_extended_errcode(connection);
    if ((status & 0xff) == SQLITE_CORRUPT || (status & 0xff) == SQLITE_NOTADB) met_damage = true;
    const bool io = (status & 0xff) == SQLITE_IOERR || (status & 0xff) == SQLITE_CANTOPEN;
    const int system_errno = io ? sqlite3_system_errno(connection) : 0;
    std::string text = std::string("catalogue: ") + sqlite3_errmsg(connection);
    if (system_errno != 0) text += ": " + std::generic_category().message(system_errno);
    return fail(code_of(status, system_errno), std::move(text));
}

// auto_vacuum must come before anything is written. trusted_schema off and cell_size_check on: the
// file may have been damaged or replaced.
constexpr const char* connection_settings = R"(
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA busy_timeout = 5000;
)";

/// SQL's crc32c(a, b…): of the octets of all of them, each after its length, so that none may pass
/// to its neighbour.
void crc32c_of_values(sqlite3_context* context, int count, sqlite3_value** values) {
    Bytes octets;
    for (int i = 0; i < count; ++i) {
        const auto* data = static_cast<const std::uint8_t*>(sqlite3_value_blob(values[i]));
        const auto size = static_cast<std::uint32_t>(sqlite3_value_bytes(values[i]));
        for (int shift = 24; shift >= 0; shift -= 8)
            octets.push_back(static_cast<std::uint8_t>(size >> shift));
        if (data != nullptr) octets.insert(octets.end(), data, data + size);
    }
    sqlite3_result_int64(context, std::int64_t{crc32c(octets)});
}

}  // namespace

Query::~Query() {
    if (statement_ == nullptr) return;
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
}

Query::Query(Query&& other) noexcept
    : connection_(other.connection_),
      met_damage_(other.met_damage_),
      statement_(std::exchange(other.statement_, nullptr)),
      position_(other.position_) {}

// Binding fails only for a wrong position or for want of memory; step() then reports a NULL that
// the schema refuses.
void Query::bind(std::int64_t value) {
    if (statement_ != nullptr) sqlite3_bind_int64(statement_, ++position_, value);
}

void Query::bind(ByteView value) {
    if (statement_ == nullptr) return;
    const void* data = value.empty() ? static_cast<const void*>("") : value.data();
    sqlite3_bind_blob64(statement_, ++position_, data, value.size(), SQLITE_TRANSIENT);
}

void Query::bind(std::string_view value) {
    if (statement_ == nullptr) return;
    const char* data = value.empty() ? "" : value.data();
    sqlite3_bind_text64(statement_, ++position_, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

Result<bool> Query::step() {
    if (statement_ == nullptr) return fail_sqlite(connection_, *met_damage_);
    const int status = sqlite3_step(statement_);
    if (status == SQLITE_ROW) return true;
    if (status == SQLITE_DONE) return false;
    return fail_sqlite(connection_, *met_damage_);
}

Result<std::uint64_t> Query::run() {
    auto row = step();
    if (!row) return fail(std::move(row.error()));
    FLOW29_ASSERT(!*row);
    return static_cast<std::uint64_t>(sqlite3_changes64(connection_));
}

std::int64_t Query::integer(int column) const {
    return sqlite3_column_int64(statement_, column);
}

ByteView Query::blob(int column) const {
    const void* data = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    if (data == nullptr || size <= 0) return {};
    return {static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

std::string_view Query::text(int column) const {
    const ByteView raw = blob(column);
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
}

struct Database::State {
    sqlite3* connection = nullptr;
    bool met_damage = false;
    std::unordered_map<std::string_view, sqlite3_stmt*> statements;  // keyed by literals

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        for (const auto& [sql, statement] : statements)
            sqlite3_finalize(statement);
        sqlite3_close(connection);
    }
};

Database::Database(std::unique_ptr<State> state) : state_(std::move(state)) {}
Database::~Database() = default;
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;

Result<Database> Database::open(const std::filesystem::path& file) {
    // Made here first because SQLite would make it readable by everybody; its journals take over
    // the mode.
    if (auto made = File::open(file, O_RDWR | O_CREAT); !made) return fail(std::move(made.error()));

    auto state = std::make_unique<State>();
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    // Its journal's index is in this process's memory then and in no -shm file: a page of a mapped
    // file that a failing disk does not give would end the process instead of a call.
    if (sqlite3_open_v2(file.c_str(), &state->connection, flags, "unix-excl") != SQLITE_OK)
        return fail_sqlite(state->connection, state->met_damage);
    constexpr int any_count = -1;
    if (sqlite3_create_function_v2(state->connection, "crc32c", any_count,
                                   SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, nullptr,
                                   crc32c_of_values, nullptr, nullptr, nullptr) != SQLITE_OK)
        return fail_sqlite(state->connection, state->met_damage);
    Database database(std::move(state));
    if (auto set = database.execute(connection_settings); !set) return fail(std::move(set.error()));
    return database;
}

Result<void> Database::execute(const char* script) {
    if (sqlite3_exec(state_->connection, script, nullptr, nullptr, nullptr) != SQLITE_OK)
        return fail_sqlite(state_->connection, state_->met_damage);
    return {};
}

Query Database::prepared(std::string_view sql) {
    sqlite3_stmt*& statement = state_->statements[sql];
    if (statement == nullptr) {
        sqlite3_prepare_v3(state_->connection, sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    }
    FLOW29_ASSERT(statement == nullptr || sqlite3_stmt_busy(statement) == 0);
    return {state_->connection, state_->met_damage, statement};
}

Result<std::int64_t> Database::integer(std::string_view sql) {
    Query query = prepared(sql);
    auto row = query.step();
    if (!row) return fail(std::move(row.error()));
    return *row ? query.integer(0) : 0;
}

bool Database::met_damage() const {
    return state_->met_damage;
}

std::int64_t Database::last_row_id() const {
    return sqlite3_last_insert_rowid(state_->connection);
}

Result<Transaction> Transaction::begin(Database& database) {
    if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun)
        return fail(std::move(begun.error()));
    return Transaction(database);
}

Transaction::~Transaction() {
    // An error here means that SQLite has rolled back by itself already.
    if (database_ != nullptr) (void)database_->execute("ROLLBACK");
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Result<void> Transaction::commit() {
    auto done = database_->execute("COMMIT");
    if (done) database_ = nullptr;
    return done;
}

}  // namespace flow29::store
