// SPDX-License-Identifier: GPL-3.0-or-later
#include "fault/arena.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "core/assert.hpp"
#include "core/unique_fd.hpp"

namespace flow29::fault {

Arena::Arena(const std::filesystem::path& file) {
    core::UniqueFd fd(file.empty() ? ::memfd_create("arena", MFD_CLOEXEC)
                                   : ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    FLOW29_ASSERT(fd.get() >= 0);
    FLOW29_ASSERT(::ftruncate(fd.get(), sizeof(Data)) == 0);
    void* const memory =
        ::mmap(nullptr, sizeof(Data), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    FLOW29_ASSERT(memory != MAP_FAILED);
    data_ = static_cast<Data*>(memory);
}

Arena::~Arena() {
    ::munmap(data_, sizeof(Data));
}

void Arena::add(const Ack& ack) {
    FLOW29_ASSERT(data_->acks < acks_max);
    data_->list[data_->acks] = ack;
    ++data_->acks;  // after it, for who reads when this process is dead
}

void Arena::blame(std::string_view what) {
    const std::size_t used = data_->text_bytes;
    const std::size_t room = data_->text.size() - used;
    if (what.size() + 2 > room) return;
    std::memcpy(data_->text.data() + used, what.data(), what.size());
    data_->text[used + what.size()] = '\n';
    data_->text_bytes = used + what.size() + 1;
}

std::string Arena::blamed() const {
    return {data_->text.data(), data_->text_bytes};
}

void Arena::clear() {
    // The list is as long as its count says; the rest need not be touched.
    data_->clock = 0;
    data_->acks = 0;
    data_->text_bytes = 0;
    std::memset(static_cast<void*>(&data_->control), 0, sizeof(Control));
}

}  // namespace flow29::fault
