#!/usr/bin/env python3
"""usage: check_tree.py FILE…

What every committed text file must keep to, whatever its language: lines of at most 120 columns (in code), no spaces at
their ends, no path of the machine it was written on; and every folder of src/ has a README.md of at most 120 lines.
Prints one line a violation and exits 1 when there is one.
"""
import os
import re
import sys

CODE = ('.c', '.h', '.sh', '.py', 'meson.build', 'dev', '.ci/run')
# Written so that this file does not match itself.
MACHINE_PATH = re.compile(r'(?<![\w.])/(wor[k]|roo[t])/')


def problems(file):
    with open(file, 'rb') as stream:
        data = stream.read()
    if b'\0' in data or file.startswith(('data/', 'tests/fuzz/corpus/')) or '/data/' in file:
        return
    lines = data.decode('utf-8', 'replace').split('\n')
    for number, line in enumerate(lines, 1):
        at = '%s:%d: ' % (file, number)
        if file.endswith(CODE) and len(line) > 120 and '://' not in line:
            yield at + '%d columns; 120 is the most' % len(line)
        if line != line.rstrip() and file != 'LICENSE' and not file.endswith(('.csv', '.txt', '.out', '.log')):
            yield at + 'spaces at the end of the line'
        if MACHINE_PATH.search(line):
            yield at + 'names a path of one machine'
    if file.endswith('README.md') and file.startswith('src/') and len(lines) > 121:
        yield '%s: %d lines; 120 is the most: split the folder, or say less' % (file, len(lines) - 1)


def main():
    found = []
    for file in sys.argv[1:]:
        if os.path.isfile(file) and not os.path.islink(file):
            found += problems(file)
    for name in sorted(os.listdir('src')):
        if os.path.isdir('src/' + name) and not os.path.isfile('src/%s/README.md' % name):
            found.append('src/%s: has no README.md' % name)
    print('\n'.join(found))
    sys.exit(1 if found else 0)


main()
