#!/usr/bin/env python3
"""usage: api_docs.py HEADERS-FOLDER OUT-FOLDER
          api_docs.py --check HEADERS-FOLDER

Makes the API reference from the public headers: one Markdown page a header, and a README.md with every name in it. With
--check it only reports the public functions and macros that no comment explains, and exits 1 when there is one.

How headers are read: the comment at the head of a file introduces its page. Any other comment that stands at the start
of a line documents the declarations under it, up to the next such comment or the blank line after them; declarations
after that without a comment have none. Within a comment, lines indented by two spaces more are shown as they are,
and lines `name   text` (two spaces or more) become a list. Names that begin with fl__ or FL__ are internal, left out.
"""
import os
import re
import sys

INTERNAL = re.compile(r'\bfl__|\bFL__', re.I)
NAME_IN_TEXT = re.compile(r'(?<![`\w])(\*?(?:fl|FL)_\w+(?:\(\))?|\*[a-z]\w*)')


class Entry:
    def __init__(self, comment):
        self.comment = comment      # lines, without the marks
        self.declarations = []      # as shown
        self.names = []


def strip_comment(text):
    """The lines of a /* … */ comment without its marks."""
    text = re.sub(r'^/\*+', '', text.strip())
    text = re.sub(r'\*+/$', '', text)
    lines = [re.sub(r'^\s*\* ?', '', line) if i else line.strip() for i, line in enumerate(text.split('\n'))]
    return [line.rstrip() for line in lines]


def chunks(source):
    """Splits a header into ('comment', text), ('code', text) and ('blank', '') at top level."""
    lines, i = source.split('\n'), 0
    while i < len(lines):
        line = lines[i]
        if not line.strip():
            yield 'blank', ''
            i += 1
        elif line.startswith('/*'):
            start = i
            while '*/' not in lines[i]:
                i += 1
            i += 1
            yield 'comment', '\n'.join(lines[start:i])
        elif re.match(r'extern "C" \{|\}\s*$', line):
            i += 1
        else:
            start, depth = i, 0
            while True:                      # to the end of the declaration, macro or body
                code = re.sub(r'/\*.*?\*/', '', lines[i])
                depth += code.count('{') + code.count('(') - code.count('}') - code.count(')')
                if line.startswith('#'):
                    done = not lines[i].endswith('\\')
                else:
                    done = depth <= 0 and (code.rstrip().endswith((';', '}')) or not code.strip())
                i += 1
                if done or i >= len(lines):
                    break
            yield 'code', '\n'.join(lines[start:i])


def shown(code):
    """(what the page shows of a piece of code, the names it declares), or None when it is not for readers."""
    if re.match(r'#\s*(include|if|ifdef|ifndef|endif|else|elif|undef|pragma|error)', code):
        return None
    if code.startswith('_Static_assert'):
        return None
    macro = re.match(r'#\s*define\s+(\w+)(\([^)]*\))?[ \t]*(.*)', code, re.S)
    if macro:
        name, arguments, body = macro.groups()
        if INTERNAL.match(name) or (not arguments and not body.strip()):
            return None
        keep = not arguments and '\\' not in body
        return '#define %s%s%s' % (name, arguments or '', ' ' + body if keep else ''), [name]
    body = re.search(r'^\{', code, re.M)
    if body and '(' in code[:body.start()]:      # an inline function: its head only
        code = re.sub(r'^static inline ', '', ' '.join(code[:body.start()].split())) + ';'
    names = re.findall(r'\b((?:fl|FL)_\w+)\s*\(', re.sub(r'__attribute__\s*\(\(.*?\)\)+', '', code))
    function = re.match(r'[\w\s\*]+?\**\b(\w+)\s*\(', code)
    if function and '{' not in code:
        if INTERNAL.match(function.group(1)) or function.group(1).isupper():
            return None
        return code, [function.group(1)]
    aliases = re.findall(r'\}\s*(\w+)\s*;|\btypedef\b[^;{]*?\b(\w+)\s*;|\b(?:struct|enum|union)\s+(\w+)\s*[;{]', code)
    names = [n for match in aliases for n in match if n] or names
    pointer = re.search(r'typedef[^;]*\(\s*\*\s*(\w+)\s*\)|typedef\s[^;]*?\b(\w+)\s*\([^)]*\)\s*;', code)
    if pointer:
        names = [pointer.group(1) or pointer.group(2)]
    names = list(dict.fromkeys(n for n in names if not INTERNAL.match(n)))
    if not names:
        return None
    return code, names


def parse(path):
    with open(path, encoding='utf-8') as file:
        pieces = list(chunks(file.read()))
    intro = []
    if pieces and pieces[0][0] == 'comment':
        intro = strip_comment(pieces.pop(0)[1])
    entries, current, after_blank = [], None, False
    for kind, text in pieces:
        if kind == 'comment':
            current, after_blank = Entry(strip_comment(text)), False
            entries.append(current)
        elif kind == 'blank':
            after_blank = True
        else:
            what = shown(text)
            if what and (current is None or (after_blank and current.declarations)):
                current = Entry([])
                entries.append(current)
            if what:
                current.declarations.append(what[0])
                current.names += what[1]
            after_blank = False
    return intro, entries


def in_text(line):
    line = NAME_IN_TEXT.sub(r'`\1`', line)
    parts = re.split(r'(`[^`]*`)', line)
    return ''.join(p if p.startswith('`') else p.replace('*', '\\*').replace('<', '&lt;') for p in parts)


def markdown(lines):
    out, code = [], False
    for line in lines:
        as_is = line.startswith('  ') and bool(line.strip())
        if as_is and not code and out and re.match(r'- ', out[-1]):
            out[-1] += ' ' + in_text(line.strip())       # a list item goes on
            continue
        if as_is != code and (as_is or line.strip()):
            out += ['', '```'] if as_is else ['```', '']
            code = as_is
        item = re.match(r'(returns|[a-z_]\w*(?:, \w+)*)\s{2,}(\S.*)', line) or re.match(r'(returns) (\S.*)', line)
        if code:
            out.append(line[2:])
        elif item:
            if not out or not out[-1].startswith('- '):
                out.append('')
            name, text = item.groups()
            out.append('- %s %s' % (name if name == 'returns' else '`%s`' % name, in_text(text)))
        else:
            out.append(in_text(line))
    if code:
        out.append('```')
    return '\n'.join(out).strip()


def page(name, intro, entries):
    yield '# <flinc/%s>' % name
    yield ''
    yield '*Made from include/flinc/%s by tools/api_docs.py: change it there.*' % name
    yield ''
    yield markdown(intro)
    for entry in entries:
        if not entry.names:
            continue
        yield ''
        yield '## ' + ', '.join(entry.names[:4]) + (', …' if len(entry.names) > 4 else '')
        if entry.comment:
            yield ''
            yield markdown(entry.comment)
        yield ''
        yield '```c'
        yield '\n'.join(entry.declarations)
        yield '```'


def main():
    check = sys.argv[1] == '--check'
    folder = sys.argv[2 if check else 1]
    headers = sorted(f for f in os.listdir(folder) if f.endswith('.h'))
    parsed = [(name, *parse(os.path.join(folder, name))) for name in headers]
    if check:
        missing = 0
        for name, _, entries in parsed:
            for entry in entries:
                if not any(entry.comment):
                    for declared in entry.names:
                        if not any(declared + '(' in declaration for declaration in entry.declarations):
                            continue
                        print('%s/%s: no comment explains %s' % (folder, name, declared))
                        missing += 1
        sys.exit(1 if missing else 0)
    out = sys.argv[2]
    os.makedirs(out, exist_ok=True)
    index = ['# API reference', '', '*Made from include/flinc/ by tools/api_docs.py.*', '']
    names = []
    for name, intro, entries in parsed:
        target = name[:-2] + '.md'
        with open(os.path.join(out, target), 'w', encoding='utf-8') as file:
            file.write('\n'.join(page(name, intro, entries)) + '\n')
        first = in_text(re.split(r'(?<=\.)\s', ' '.join(intro).strip() + ' ')[0] or name)
        index.append('- [%s](%s): %s' % (name, target, first))
        names += [(n, target) for entry in entries for n in entry.names]
    index += ['', '## Every name', ''] + ['- [`%s`](%s)' % pair for pair in sorted(set(names))]
    with open(os.path.join(out, 'README.md'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(index) + '\n')
    print('%d pages in %s, %d names' % (len(headers), out, len(set(names))))


main()
