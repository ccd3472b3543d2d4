// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string_view>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

namespace flow29::core {

/// Writes msgpack. Every structure of ours is an array of fields in a fixed order, so that a later
/// version can add fields at the end and an earlier reader ignores them.
class Packer {
  public:
    Packer();
    ~Packer();
    Packer(Packer&&) noexcept;
    Packer& operator=(Packer&&) noexcept;

    Packer& array(std::size_t items);
    Packer& uint(std::uint64_t value);
    Packer& boolean(bool value);
    Packer& bin(ByteView value);
    Packer& str(std::string_view value);
    Packer& nil();
    template <class Tag, std::size_t Size>
    Packer& id(const FixedBytes<Tag, Size>& value) {
        return bin(value.view());
    }

    [[nodiscard]] Bytes take();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Reads the fields of one msgpack array in order. After the first mismatch every further read
/// yields zeroes and `ok()` is false, so a decoder reads all its fields and tests once.
/// Borrows from its Document.
class FieldReader {
  public:
    /// A reader that has failed.
    FieldReader() = default;

    std::uint64_t uint(std::uint64_t max = ~std::uint64_t{0});
    bool boolean();
    ByteView bin(std::size_t bytes_max);
    std::string_view str(std::size_t bytes_max);
    template <class Id>
    Id id() {
        const auto value = Id::from(bin(Id::size));
        if (!value) failed_ = true;
        return value.value_or(Id{});
    }
    /// A nested array of at most `items_max` items.
    FieldReader array(std::size_t items_max);
    /// True when the next field is nil, which is then consumed.
    bool skip_nil();

    /// Fields not read yet; 0 after a failure.
    [[nodiscard]] std::size_t remaining() const;
    [[nodiscard]] bool ok() const { return !failed_; }
    /// Marks the input as malformed, for a rule this reader does not know.
    void fail() { failed_ = true; }
    /// Takes over a nested reader's failure.
    void require(const FieldReader& nested) { failed_ = failed_ || !nested.ok(); }

  private:
    friend class Document;
    FieldReader(const void* items, std::size_t count)
        : items_(items), count_(count), failed_(false) {}
    const void* next();

    const void* items_ = nullptr;
    std::size_t count_ = 0;
    std::size_t position_ = 0;
    bool failed_ = true;
};

/// One parsed msgpack value whose outermost shape is an array. Depth, lengths and counts are
/// bounded by the size of the input and limits::msgpack_depth_max before anything is allocated.
class Document {
  public:
    /// Errc::peer_misbehaved for anything that is not exactly one well-formed array.
    /// `raw` must outlive the document: strings and octets point into it.
    [[nodiscard]] static Result<Document> parse(ByteView raw);
    ~Document();
    Document(Document&&) noexcept;
    Document& operator=(Document&&) noexcept;

    [[nodiscard]] FieldReader fields() const;

  private:
    struct State;
    explicit Document(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace flow29::core
