#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <flinc.h>

static void test_version_is_the_build_s(void **state)
{
    (void)state;
    assert_string_equal(fl_version(), FLINC_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_is_the_build_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
