// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/pack.hpp"

#include <flow29/limits.hpp>

#include "core/assert.hpp"

#include <msgpack.hpp>

#include <limits>
#include <utility>

namespace flow29::core {
namespace {

/// What msgpack::packer writes into.
struct OctetSink {
    Bytes octets;

    void write(const char* data, std::size_t size) {
        octets.insert(octets.end(), data, data + size);
    }
};

std::uint32_t length_field(std::size_t size) {
    FLOW29_ASSERT(size <= std::numeric_limits<std::uint32_t>::max());
    return static_cast<std::uint32_t>(size);
}

/// Walks the input without allocating for it and stops at the first container that is nested too
/// deep, or that claims more items than the input has octets left over from other claims.
///
/// Rationale: msgpack allocates an array from its claimed length, before its items are seen, and an
/// `unpack_limit` bounds one array but not eight nested ones. Every item takes at least one octet,
/// so an honest input never claims more than it has.
class BoundsVisitor : public msgpack::null_visitor {
  public:
    explicit BoundsVisitor(std::size_t items_max) : items_left_(items_max) {}

    bool start_array(std::uint32_t items) { return enter(items); }
    bool start_map(std::uint32_t pairs) { return enter(std::uint64_t{pairs} * 2); }
    bool end_array() { return leave(); }
    bool end_map() { return leave(); }
    void parse_error(std::size_t, std::size_t) { failed_ = true; }
    void insufficient_bytes(std::size_t, std::size_t) { failed_ = true; }

    [[nodiscard]] bool failed() const { return failed_; }

  private:
    bool enter(std::uint64_t items) {
        if (depth_ == limits::msgpack_depth_max || items > items_left_) {
            failed_ = true;
            return false;
        }
        items_left_ -= items;
        ++depth_;
        return true;
    }
    bool leave() {
        --depth_;
        return true;
    }

    std::uint64_t items_left_;
    unsigned depth_ = 0;
    bool failed_ = false;
};

bool within_bounds(const char* data, std::size_t size) {
    BoundsVisitor visitor(size);
    std::size_t offset = 0;
    return msgpack::parse(data, size, offset, visitor) && !visitor.failed() && offset == size;
}

const msgpack::object& object_at(const void* item) {
    return *static_cast<const msgpack::object*>(item);
}

}  // namespace

struct Packer::State {
    OctetSink sink;
    msgpack::packer<OctetSink> packer{sink};
};

Packer::Packer() : state_(std::make_unique<State>()) {}
Packer::~Packer() = default;
Packer::Packer(Packer&&) noexcept = default;
Packer& Packer::operator=(Packer&&) noexcept = default;

Packer& Packer::array(std::size_t items) {
    state_->packer.pack_array(length_field(items));
    return *this;
}

Packer& Packer::uint(std::uint64_t value) {
    state_->packer.pack_uint64(value);
    return *this;
}

Packer& Packer::boolean(bool value) {
    value ? state_->packer.pack_true() : state_->packer.pack_false();
    return *this;
}

Packer& Packer::bin(ByteView value) {
    state_->packer.pack_bin(length_field(value.size()));
    state_->packer.pack_bin_body(reinterpret_cast<const char*>(value.data()),
                                 length_field(value.size()));
    return *this;
}

Packer& Packer::str(std::string_view value) {
    state_->packer.pack_str(length_field(value.size()));
    state_->packer.pack_str_body(value.data(), length_field(value.size()));
    return *this;
}

Packer& Packer::nil() {
    state_->packer.pack_nil();
    return *this;
}

Bytes Packer::take() {
    return std::exchange(state_->sink.octets, {});
}

const void* FieldReader::next() {
    if (failed_ || position_ == count_) {
        failed_ = true;
        return nullptr;
    }
    return static_cast<const msgpack::object*>(items_) + position_++;
}

std::uint64_t FieldReader::uint(std::uint64_t max) {
    const void* item = next();
    if (item == nullptr) return 0;
    const msgpack::object& object = object_at(item);
    failed_ = object.type != msgpack::type::POSITIVE_INTEGER || object.via.u64 > max;
    return failed_ ? 0 : object.via.u64;
}

bool FieldReader::boolean() {
    const void* item = next();
    if (item == nullptr) return false;
    const msgpack::object& object = object_at(item);
    failed_ = object.type != msgpack::type::BOOLEAN;
    return !failed_ && object.via.boolean;
}

ByteView FieldReader::bin(std::size_t bytes_max) {
    const void* item = next();
    if (item == nullptr) return {};
    const msgpack::object& object = object_at(item);
    failed_ = object.type != msgpack::type::BIN || object.via.bin.size > bytes_max;
    if (failed_) return {};
    return {reinterpret_cast<const std::uint8_t*>(object.via.bin.ptr), object.via.bin.size};
}

std::string_view FieldReader::str(std::size_t bytes_max) {
    const void* item = next();
    if (item == nullptr) return {};
    const msgpack::object& object = object_at(item);
    failed_ = object.type != msgpack::type::STR || object.via.str.size > bytes_max;
    if (failed_) return {};
    return {object.via.str.ptr, object.via.str.size};
}

FieldReader FieldReader::array(std::size_t items_max) {
    const void* item = next();
    if (item == nullptr) return {};
    const msgpack::object& object = object_at(item);
    failed_ = object.type != msgpack::type::ARRAY || object.via.array.size > items_max;
    if (failed_) return {};
    return {object.via.array.ptr, object.via.array.size};
}

bool FieldReader::skip_nil() {
    if (remaining() == 0) return false;
    const auto* items = static_cast<const msgpack::object*>(items_);
    const bool nil = items[position_].type == msgpack::type::NIL;
    if (nil) ++position_;
    return nil;
}

std::size_t FieldReader::remaining() const {
    return failed_ ? 0 : count_ - position_;
}

struct Document::State {
    msgpack::object_handle root;
};

Document::Document(std::unique_ptr<State> state) : state_(std::move(state)) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

Result<Document> Document::parse(ByteView raw) {
    const auto malformed = [] {
        return fail(Errc::peer_misbehaved, "not one well-formed msgpack array within bounds");
    };
    const auto* const data = reinterpret_cast<const char*>(raw.data());
    const auto borrow = [](msgpack::type::object_type, std::size_t, void*) { return true; };
    const msgpack::unpack_limit limit(raw.size(), raw.size(), raw.size(), raw.size(), raw.size(),
                                      limits::msgpack_depth_max);
    try {
        if (raw.empty() || !within_bounds(data, raw.size())) return malformed();
        auto state = std::make_unique<State>();
        state->root = msgpack::unpack(data, raw.size(), borrow, nullptr, limit);
        if (state->root.get().type != msgpack::type::ARRAY) return malformed();
        return Document(std::move(state));
    } catch (const msgpack::unpack_error&) {
        return malformed();
    }
}

FieldReader Document::fields() const {
    const msgpack::object& root = state_->root.get();
    return {root.via.array.ptr, root.via.array.size};
}

}  // namespace flow29::core
