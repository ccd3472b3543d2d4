// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "core/time.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace flow29::store {

/// One use of a prepared statement, which becomes free again when this is destroyed.
class Query {
  public:
    Query(sqlite3* connection, bool& met_damage, sqlite3_stmt* statement)
        : connection_(connection), met_damage_(&met_damage), statement_(statement) {}
    ~Query();
    Query(Query&& other) noexcept;
    Query& operator=(Query&&) = delete;

    /// Values for ?1, ?2… in order; they are copied.
    void bind(std::int64_t value);
    void bind(ByteView value);
    void bind(std::string_view value);
    void bind(bool value) { bind(std::int64_t{value}); }
    void bind(ByteCount value) { bind(static_cast<std::int64_t>(value.value)); }
    void bind(WallTime value) { bind(std::int64_t{value.time_since_epoch().count()}); }
    void bind(const Bytes& value) { bind(ByteView(value)); }
    template <class Tag, std::size_t Size>
    void bind(const FixedBytes<Tag, Size>& value) {
        bind(value.view());
    }

    /// Moves to the next row; false when there is none. Errors: no_space, file_error,
    /// corrupt_store.
    [[nodiscard]] Result<bool> step();
    /// Runs a statement that returns no rows; gives the number of rows it changed.
    [[nodiscard]] Result<std::uint64_t> run();

    /// Columns of the present row, counted from 0; what they point to lives until the next step.
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] ByteView blob(int column) const;
    [[nodiscard]] std::string_view text(int column) const;
    [[nodiscard]] bool boolean(int column) const { return integer(column) != 0; }
    [[nodiscard]] ByteCount bytes(int column) const {
        return ByteCount(static_cast<std::uint64_t>(integer(column)));
    }
    [[nodiscard]] WallTime time(int column) const {
        return WallTime(std::chrono::milliseconds(integer(column)));
    }
    /// Zeroes when the column has another length.
    template <class Id>
    [[nodiscard]] Id id(int column) const {
        return Id::from(blob(column)).value_or(Id{});
    }

  private:
    sqlite3* connection_;
    bool* met_damage_;         // owned by the database, as the connection is
    sqlite3_stmt* statement_;  // null when it could not be prepared
    int position_ = 0;
};

/// A connection to one SQLite file, in WAL mode with every commit synced. Not thread-safe. Its SQL
/// has crc32c(a, b…), of the lengths and octets of any number of values.
class Database {
  public:
    /// Makes the file (mode 0600) unless it is there.
    [[nodiscard]] static Result<Database> open(const std::filesystem::path& file);
    ~Database();
    Database(Database&&) noexcept;
    Database& operator=(Database&&) noexcept;

    /// A script without values.
    [[nodiscard]] Result<void> execute(const char* script);
    /// `sql` must be a literal: the statement stays prepared under its text. One statement is not
    /// used twice at a time.
    template <class... Values>
    [[nodiscard]] Query query(std::string_view sql, const Values&... values) {
        Query query = prepared(sql);
        (query.bind(values), ...);
        return query;
    }
    /// The first column of the first row; 0 when there is none.
    [[nodiscard]] Result<std::int64_t> integer(std::string_view sql);
    [[nodiscard]] std::int64_t last_row_id() const;
    /// Whether anything has failed since the file is not what SQLite wrote.
    [[nodiscard]] bool met_damage() const;

  private:
    struct State;
    explicit Database(std::unique_ptr<State> state);
    [[nodiscard]] Query prepared(std::string_view sql);

    std::unique_ptr<State> state_;
};

/// All or nothing: rolled back when destroyed before commit().
class Transaction {
  public:
    [[nodiscard]] static Result<Transaction> begin(Database& database);
    ~Transaction();
    Transaction(Transaction&& other) noexcept;
    Transaction& operator=(Transaction&&) = delete;

    /// Durable when it returns.
    [[nodiscard]] Result<void> commit();

  private:
    explicit Transaction(Database& database) : database_(&database) {}
    Database* database_;  // owned by whoever began; null when over
};

}  // namespace flow29::store
