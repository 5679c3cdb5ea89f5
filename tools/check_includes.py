#!/usr/bin/env python3
"""usage: check_includes.py [ROOT]

Path is layer: a file in src/ includes its own folder, lower layers and the public headers, and nothing above it. The
public headers include nothing of src/. A header x_internal.h is included from inside its own folder only (and from
tests). Prints one line a violation, `file:line: what is wrong`, and exits 1 when there is one.
"""
import os
import re
import sys

# Lowest first. A layer may include itself and what stands before it.
LAYERS = ['base', 'os', 'data', 'state', 'stream', 'operators', 'graph', 'api', 'formats', 'connectors',
          'checkpoint', 'cluster', 'testing', 'rest', 'sql', 'graphlib', 'ml', 'cli']

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def files_below(folder):
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(('.c', '.h')):
                yield os.path.join(path, name)


def included(root, file, quote, name):
    """The path below the root of what an include means, or None when it is not one of our files."""
    tries = [os.path.join('include', name), os.path.join('src', name)]
    if quote == '"':
        tries.insert(0, os.path.join(os.path.dirname(file), name))
    for path in tries:
        path = os.path.normpath(path)
        if os.path.isfile(os.path.join(root, path)):
            return path
    return None


def layer(path):
    return path.split(os.sep)[1]


def problem(file, target):
    """What is wrong with `file` including `target`, or None."""
    if target.endswith('_internal.h') and file.startswith('src') and os.path.dirname(file) != os.path.dirname(target):
        return '%s is internal to %s/' % (target, os.path.dirname(target))
    if file.startswith('include') and target.startswith('src'):
        return 'a public header includes %s: users do not have src/' % target
    if file.startswith('src') and target.startswith('src'):
        mine, other = layer(file), layer(target)
        if LAYERS.index(other) > LAYERS.index(mine):
            return '%s/ lies below %s/ and must not know %s' % (mine, other, target)
    return None


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else '.'
    problems = 0
    for top in ('include', 'src', 'examples'):
        for full in files_below(os.path.join(root, top)):
            file = os.path.relpath(full, root)
            if top == 'src' and layer(file) not in LAYERS:
                print('%s: folder %s/ is no layer yet: give it a place in LAYERS of %s'
                      % (file, layer(file), os.path.basename(sys.argv[0])))
                problems += 1
                continue
            with open(full, encoding='utf-8') as lines:
                for number, line in enumerate(lines, 1):
                    match = INCLUDE.match(line)
                    target = match and included(root, file, *match.groups())
                    if not target:
                        continue
                    wrong = problem(file, target)
                    if top == 'examples' and target.startswith('src'):
                        wrong = 'an example includes %s: users do not have src/' % target
                    if wrong:
                        print('%s:%d: %s' % (file, number, wrong))
                        problems += 1
    sys.exit(1 if problems else 0)


main()
