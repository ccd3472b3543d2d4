// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/printable.hpp"

#include <doctest/doctest.h>

namespace flow29::core {

TEST_CASE("control characters do not reach the terminal") {
    CHECK(printable("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
    CHECK(printable("\xc2\x9b"
                    "x") == "\\xc2\\x9bx");
    CHECK(printable("é ✓") == "é ✓");
    CHECK(printable("a\xe2\x80\xaegpj.exe") == "a\\xe2\\x80\\xaegpj.exe");
    CHECK(printable("\xe2\x81\xa6\xe2\x80\x8f") == "\\xe2\\x81\\xa6\\xe2\\x80\\x8f");
    CHECK(printable("a\xd8\x9c"
                    "b") == "a\\xd8\\x9cb");
    CHECK(printable("… \xe2\x80\xa9\xe2\x81\xa5 \xe2") == "… \xe2\x80\xa9\xe2\x81\xa5 \xe2");
}

}  // namespace flow29::core
