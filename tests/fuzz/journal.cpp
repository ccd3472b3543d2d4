// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstring>

#include <flow29/limits.hpp>

#include "node/fetch_journal.hpp"
#include "store/checksum.hpp"

#include "input.hpp"
#include "place.hpp"

namespace {

using namespace flow29;
using node::FetchJournal;
namespace fs = std::filesystem;

constexpr std::uint64_t output_bytes = 40'000;
constexpr std::size_t header_bytes = 104;
constexpr std::size_t record_bytes = 24;

std::uint8_t octet_at(std::uint64_t offset) {
    return static_cast<std::uint8_t>(offset * 7 / 512);
}
Bytes output(std::uint64_t first, std::uint64_t last) {
    Bytes bytes;
    for (auto at = first; at < last; ++at)
        bytes.push_back(octet_at(at));
    return bytes;
}
bool read_output(std::uint64_t first, std::span<std::uint8_t> out) {
    if (first > output_bytes || out.size() > output_bytes - first) return false;
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = octet_at(first + i);
    return true;
}

std::uint64_t number_at(ByteView octets, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    std::memcpy(&value, octets.data() + at, size);
    return value;
}

/// What a journal writes down of the output's bytes to know them again; 0 for what is not there.
std::uint32_t checksum_of(std::uint64_t first, std::uint64_t last) {
    static const fuzz::Place place;
    static const auto file = place.path() / "reference";
    static FetchJournal journal(file);
    static const bool is_open = [] {
        const FetchJournal::Witness witness{1, 2, 3, RootHash{}, std::string(36, 'c')};
        return journal.open(witness, {}, read_output).empty();
    }();
    FLOW29_ASSERT(is_open);
    if (first >= last || last > output_bytes) return 0;
    journal.add(first, output(first, last));
    const auto octets = fuzz::read_file(file);
    FLOW29_ASSERT(octets.size() == header_bytes + record_bytes);
    fs::resize_file(file, header_bytes);
    return static_cast<std::uint32_t>(number_at(octets, header_bytes + 16, 4));
}

/// What the records say and the output confirms, up to the first that is not sound.
core::RangeSet expected(ByteView records) {
    core::RangeSet set;
    for (; records.size() >= record_bytes; records = records.subspan(record_bytes)) {
        const auto first = number_at(records, 0, 8);
        const auto last = number_at(records, 8, 8);
        if (number_at(records, 20, 4) != store::crc32c(records.first(20))) break;
        if (first >= last || last - first > limits::range_bytes_max) break;
        if (last > output_bytes) continue;
        if (number_at(records, 16, 4) == checksum_of(first, last)) set.insert(first, last);
    }
    return set;
}

/// Records made of the input: right ones, with a wrong range or checksum now and then, and noise.
Bytes make_records(fuzz::Input& input) {
    Bytes records;
    while (!input.empty() && records.size() < 40 * record_bytes) {
        const auto choice = input.octet();
        const std::array<std::uint64_t, 2> range{
            input.number(choice < 200 ? output_bytes : ~std::uint64_t{0}),
            input.number(choice < 220 ? output_bytes : ~std::uint64_t{0})};
        Bytes record(record_bytes);
        std::memcpy(record.data(), range.data(), 16);
        const auto of_data = choice % 8 != 0 ? checksum_of(range[0], range[1])
                                             : static_cast<std::uint32_t>(input.number(0xffff));
        std::memcpy(record.data() + 16, &of_data, 4);
        const auto of_record = store::crc32c(ByteView(record).first(20));
        std::memcpy(record.data() + 20, &of_record, 4);
        if (choice % 16 == 15) record[input.number(record_bytes - 1)] ^= input.octet();
        if (choice % 32 == 31) record.resize(input.number(record_bytes));
        records.insert(records.end(), record.begin(), record.end());
    }
    return records;
}

}  // namespace

/// The journal of a fetch, with anything in its file: what it takes up is what its sound records
/// say and the output confirms, and a file of another output says nothing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const fuzz::Place place;
    static const auto file = place.path() / "journal";
    static const FetchJournal::Witness witness{7, 8, 9, RootHash{}, std::string(36, 'b')};
    static const Bytes header = [] {
        FetchJournal journal(file);
        static_cast<void>(journal.open(witness, {}, read_output));
        return fuzz::read_file(file);
    }();
    FLOW29_ASSERT(header.size() == header_bytes);
    fuzz::Input input(data, size);
    const auto choice = input.octet();
    Bytes octets;
    if (choice % 8 != 0) octets = header;
    if (choice % 8 == 1) octets[input.number(header_bytes - 1)] ^= input.octet();
    const Bytes records = choice % 16 < 8 ? make_records(input) : Bytes();
    const auto noise = input.rest();
    octets.insert(octets.end(), records.begin(), records.end());
    octets.insert(octets.end(), noise.begin(), noise.end());
    fuzz::write_file(file, octets);

    const bool ours = octets.size() >= header_bytes &&
                      std::memcmp(octets.data(), header.data(), header_bytes) == 0;
    FetchJournal journal(file);
    const bool is_of = journal.is_of(witness.root, ByteCount(witness.origin));
    if (ours) FLOW29_ASSERT(is_of);
    const auto taken = journal.open(witness, {}, read_output);
    FLOW29_ASSERT(taken ==
                  (ours ? expected(ByteView(octets).subspan(header_bytes)) : core::RangeSet()));
    // Written anew it says the same, and it can go on.
    journal.add(100, output(100, 300));
    auto more = taken;
    more.insert(100, 300);
    FetchJournal next(file);
    FLOW29_ASSERT(next.open(witness, {}, read_output) == more);
    FLOW29_ASSERT(next.open(witness, more, read_output).empty());
    return 0;
}
