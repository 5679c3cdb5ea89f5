#!/usr/bin/env python3
"""usage: count_tests.py MESON_STATUS TESTLOG.json

Counts test cases in the log that `meson test` leaves, and ends with the line `N passed, N failed`. A program that
speaks TAP (cmocka under CMOCKA_MESSAGE_OUTPUT=TAP) counts with each of its cases, any other as one. One that died
before it could report a failure counts as one failed case. Exit status 1 when anything failed or nothing ran.
"""
import json
import os
import re
import sys

TAP_LINE = re.compile(r'^(not )?ok \d+\b(?: - )?(.*)', re.M)


def cases(test):
    """(passed, failed names) of one entry of the log."""
    passed, failed = 0, []
    for not_ok, title in TAP_LINE.findall(test.get('stdout') or ''):
        if '# SKIP' in title:
            continue
        if not_ok:
            failed.append('%s: %s' % (test['name'], title.strip()))
        else:
            passed += 1
    if test['result'] in ('OK', 'EXPECTEDFAIL'):
        return (passed or (0 if failed else 1)), failed
    if test['result'] == 'SKIP':
        return passed, failed
    if not failed:
        failed.append('%s: %s, exit status %s' % (test['name'], test['result'].lower(), test['returncode']))
    return passed, failed


def main():
    meson_status, log = int(sys.argv[1]), sys.argv[2]
    passed, failed, programs = 0, [], 0
    if os.path.exists(log):
        with open(log) as lines:
            for line in lines:
                programs += 1
                p, f = cases(json.loads(line))
                passed += p
                failed += f
    if meson_status != 0 and not failed:
        failed.append('meson test: exit status %d without a failed test' % meson_status)
    for name in failed:
        print('FAILED ' + name)
    print('%d passed, %d failed' % (passed, len(failed)))
    sys.exit(1 if failed or programs == 0 else 0)


main()
