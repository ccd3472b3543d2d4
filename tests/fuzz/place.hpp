// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <flow29/ids.hpp>

#include "core/assert.hpp"

namespace flow29::fuzz {

namespace fs = std::filesystem;

/// A folder of this process's own, in memory where that can be had, gone with it.
class Place {
  public:
    Place() {
        const bool in_memory = ::access("/dev/shm", W_OK) == 0;
        const auto parent = in_memory ? fs::path("/dev/shm") : fs::temp_directory_path();
        std::string name = (parent / "flow29-fuzz-XXXXXX").string();
        FLOW29_ASSERT(::mkdtemp(name.data()) != nullptr);
        path_ = fs::canonical(name);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { fs::remove_all(path_); }
    [[nodiscard]] const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

inline void write_file(const fs::path& path, ByteView octets) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(octets.data()),
              static_cast<std::streamsize>(octets.size()));
    FLOW29_ASSERT(out.good());
}
inline Bytes read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace flow29::fuzz
