#!/bin/sh
# The flinc command, used well and badly: what it prints, where, and its exit status.
set -u
export XDG_CACHE_HOME="$FLINC_TMP/cache"
unset FLINC_LOG CC CFLAGS LDLIBS
flinc=$FLINC_BUILD/flinc
source=$PWD
cd "$FLINC_TMP" || exit 1
failures=0

# expect STATUS OUT ERR COMMAND…: OUT is all of its standard output, sorted (subtasks print in any order), ERR a shell
# pattern for standard error.
expect() {
    status=$1 out=$2 err=$3
    shift 3
    "$@" >out 2>err
    actual=$?
    actual_out=$(LC_ALL=C sort out)
    actual_err=$(cat err)
    fits=yes
    # shellcheck disable=SC2254  # ERR is a pattern
    case $actual_err in
    $err) ;;
    *) fits=no ;;
    esac
    if [ "$actual" != "$status" ] || [ "$actual_out" != "$out" ] || [ $fits = no ]; then
        failures=$((failures + 1))
        printf 'FAILED: %s\n  status %s, expected %s\n' "$*" "$actual" "$status"
        printf '  out: %s\n  expected: %s\n  err: %s\n  expected: %s\n' "$actual_out" "$out" "$actual_err" "$err"
    fi
}

cat >sum.c <<'END'
#include <flinc.h>
#include "twice.h"
static void map(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_accumulate(ctx, "numbers", 1);
    fl_collect(out, &(int64_t){twice(*(const int64_t *)in)});
}
FL_JOB(doubles)
{
    fl_print(fl_map(fl_sequence(env, 1, fl_param_int(env, "to", 3)), map, int64_t));
    return fl_execute(env, "Doubles");
}
END
echo 'static int64_t twice(int64_t n) { return 2 * n; }' >twice.h

# ---- run ----
id='????????????????????????????????'
expect 0 '2
4
6' "Job has been submitted with JobID $id
Program execution finished
Job with JobID $id has finished.
Job Runtime: * ms
Accumulator Results:?
- numbers (int64): 3" "$flinc" run sum.c
expect 0 '2' '*' "$flinc" run ./sum.c --to 1
expect 0 '2' '*' "$flinc" run -c doubles -p 1 -Dparallelism.default=1 --class=doubles -- "$PWD/sum.c" --to=1
expect 0 '1> 2
2> 4' '*' "$flinc" run -p2 sum.c --to 2
expect 0 '1> 2
2> 4' '*' "$flinc" run -D parallelism.default=2 sum.c --to 2

# ---- what is compiled again, and what is not ----
printf '#!/bin/sh\necho x >>"%s/compiled"\nexec cc "$@"\n' "$FLINC_TMP" >counting-cc
chmod +x counting-cc
compiled() { wc -l <compiled | tr -d ' '; }
CC=$FLINC_TMP/counting-cc
export CC
expect 0 '2' '*' "$flinc" run sum.c --to 1
expect 0 '2' '*' "$flinc" run sum.c --to 1
expect 0 '1' '' compiled
echo 'static int64_t twice(int64_t n) { return 3 * n; }' >twice.h
expect 0 '3' '*' "$flinc" run sum.c --to 1
expect 0 '2' '' compiled
CFLAGS=-DUNUSED expect 0 '3' '*' "$flinc" run sum.c --to 1
expect 0 '3' '' compiled
touch sum.c
expect 0 '3' '*' "$flinc" run sum.c --to 1
expect 0 '3' '' compiled
for object in cache/flinc/*.so; do
    echo broken >"${object%.so}.deps"
done
expect 0 '3' '*' "$flinc" run sum.c --to 1
expect 0 '4' '' compiled
expect 0 '' '' sh -c 'ls cache/flinc | grep -v "^[0-9a-f]*\.\(so\|deps\)$" || true'
unset CC

# ---- build and info ----
expect 0 '' '' "$flinc" build --shared sum.c
expect 0 '3' '*' "$flinc" run sum.so --to 1
expect 0 '' '' "$flinc" build sum.c -o other.so
expect 0 '3' '*' "$flinc" run other.so --to 1
if ! nm -D "$FLINC_BUILD/src/libflinc.so" | grep -qE '__(asan|tsan|gcov)_'; then # or it needs the sanitizer's flags
    expect 0 '' '' "$flinc" build sum.c
    expect 0 '1> 3
2> 6' '' ./sum -p 2 --to 2
    expect 1 '' "sum: option -p: 'x' is not a whole number between 1 and 32768" ./sum -p x
    expect 1 '' "sum: argument --two: *" ./sum --two 2
fi
expect 0 'yes' '' \
    sh -c "'$flinc' info --json sum.c | python3 -c 'import json, sys; json.load(sys.stdin); print(\"yes\")'"
expect 0 '----------------------- Execution Plan -----------------------' '' sh -c "'$flinc' info sum.c | head -n1"
expect 0 'yes' '' sh -c "'$flinc' info --text sum.c | grep -q Map && echo yes"

# ---- bad use ----
expect 1 '' 'flinc: say what to do*' "$flinc"
expect 1 '' "flinc: there is no action 'rnu'; did you mean run?*" "$flinc" rnu
expect 1 '' 'flinc: what to do with sum.c? *flinc run sum.c* runs it' "$flinc" sum.c
expect 1 '' 'flinc list: this version runs jobs in its own process*' "$flinc" list
expect 1 '' 'flinc run: name a program: flinc run <program.c|program.so>*' "$flinc" run
expect 1 '' 'flinc run: there is no option --paralelism; did you mean --parallelism?*' \
    "$flinc" run --paralelism 4 sum.c
expect 1 '' 'flinc run: option -p needs a value: -p, --parallelism <n>*' "$flinc" run -p
expect 1 '' "flinc run: option -p: '0' is not a whole number between 1 and 32768*" "$flinc" run -p 0 sum.c
expect 1 '' 'flinc run: option -d: this version runs jobs in its own process*' "$flinc" run -d sum.c
expect 1 '' '*/nowhere*No such file or directory*' "$flinc" run -s file:///nowhere sum.c
expect 1 '' "flinc run: -D: there is no option 'paralelism.default'; did you mean parallelism.default?*" \
    "$flinc" run -D paralelism.default=4 sum.c
expect 1 '' "flinc run: -D: 'parallelism.default' sets no option: write key=value*" \
    "$flinc" run -D parallelism.default sum.c
expect 1 '' 'flinc: cannot open missing.c: No such file or directory' "$flinc" run missing.c
expect 1 '' 'flinc: cannot open missing.so: No such file or directory' "$flinc" run missing.so
mkdir dir.c
expect 1 "" "flinc: cannot read dir.c: Is a directory" "$flinc" run dir.c
expect 1 '' 'flinc: . is a folder: name a program, NAME.c or NAME.so' "$flinc" run .
touch job.jar job.txt
expect 1 '' 'flinc: job.jar is a job for Flink'\''s Java*' "$flinc" run job.jar
expect 1 '' 'flinc: job.txt is neither NAME.c nor NAME.so*' "$flinc" run job.txt
echo nonsense >broken.so
expect 1 '' 'flinc: cannot load broken.so: *' "$flinc" run broken.so
printf 'int f(void) {\n    return nothing;\n}\n' >broken.c
expect 1 '' 'broken.c: In function*broken.c:2:12: error*nothing*
flinc: broken.c does not compile: see the messages of cc above' "$flinc" run broken.c
printf '#include <flinc.h>\nFL_JOB(a) { return fl_exekute(env, "A"); }\n' >broken.c
expect 1 '' 'broken.c: In function*fl_exekute*flinc: broken.c does not compile*' "$flinc" run broken.c
expect 1 '' 'flinc: *CC*' env CC=no-such-compiler "$flinc" run broken.c
echo 'int x;' >empty.c
expect 1 '' 'flinc: empty.c: there is no FL_JOB in it: FL_JOB(name) { * }*' "$flinc" run empty.c
printf '#include <flinc.h>\nFL_JOB(first) { return 5; }\nFL_JOB(second) { return fl_set(env, "a", "b"), 0; }\n' >two.c
expect 1 '' 'flinc: two.c: there are several FL_JOBs: choose one with -c (first, second)' "$flinc" run two.c
expect 1 '' 'flinc: two.c: there is no FL_JOB(secnd); did you mean second? (there is: first, second)' \
    "$flinc" run -c secnd two.c
expect 5 '' '' "$flinc" run -c first two.c
expect 1 '' "two.c:3: there is no option 'a'*" "$flinc" run -c second two.c
printf '#include <flinc.h>\nFL_JOB(idle) { (void)env; return 0; }\n' >idle.c
expect 1 '' 'flinc: the program ended without a job: did it forget fl_execute(env, "Name")?' "$flinc" run idle.c
printf '#include <flinc.h>\n#undef FLINC_ABI\n#define FLINC_ABI 999\nFL_JOB(old) { (void)env; return 0; }\n' >abi.c
expect 1 '' 'flinc: abi.c: it was built with flinc headers of ABI 999, and this flinc has *: build it again' \
    "$flinc" run abi.c
expect 1 '' 'flinc build: name a program*' "$flinc" build
expect 1 '' 'flinc build: sum.so is not a C file, NAME.c*' "$flinc" build sum.so
expect 1 '' 'flinc build: one program at a time: sum.c, or two.c?*' "$flinc" build sum.c two.c
expect 1 '' 'flinc: *nowhere*' "$flinc" build --shared sum.c -o nowhere/sum.so
expect 1 '' "flinc help: there is no action 'rnu'; did you mean run?*" "$flinc" help rnu

# Names that need care.
mkdir 'a b'
odd="h \$x#.h"
echo 'typedef int64_t number;' >"a b/$odd"
{ echo "#include \"$odd\""; sed 's/"twice.h"/"..\/twice.h"/' sum.c; } >'a b/my job.c'
sed -i '1i #include <stdint.h>' "a b/$odd"
expect 0 '3' '*' "$flinc" run 'a b/my job.c' --to 1
echo '#error changed' >"a b/$odd"
expect 1 '' '*#error changed*' "$flinc" run 'a b/my job.c' --to 1
cp sum.c ./-x.c
expect 0 '3' '*' "$flinc" run -- -x.c --to 1
if [ -e /dev/full ]; then
    expect 1 '' 'flinc: cannot write to standard output: No space left on device' sh -c "'$flinc' help >/dev/full"
fi

# A flinc that was moved away from its library folder asks pkg-config, and says what to do when that knows nothing.
mkdir -p moved/bin
cp "$flinc" moved/bin/
expect 0 '3' '*' env LD_LIBRARY_PATH="$FLINC_BUILD/src" PKG_CONFIG_PATH="$FLINC_BUILD/meson-uninstalled" \
    moved/bin/flinc run sum.c --to 1
expect 1 '' "flinc: cannot find flinc's headers: no flinc.pc below the folder *./dev install*" \
    env LD_LIBRARY_PATH="$FLINC_BUILD/src" PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR=/nowhere moved/bin/flinc run sum.c

# A cache folder that cannot be made, and one in TMPDIR that is used then.
expect 0 '3' '*' env XDG_CACHE_HOME=/proc/none HOME=/proc/none TMPDIR="$FLINC_TMP" "$flinc" run sum.c --to 1

# ---- what flinc says of itself ----
for action in run info build version help; do
    expect 0 'yes' '' sh -c "'$flinc' help $action | grep -q 'usage: flinc $action' && echo yes"
    expect 0 'yes' '' sh -c "'$flinc' $action --help | grep -q -i 'flinc' && echo yes"
    grep -q "^\.It Cm $action" "$source/docs/man/flinc.1" ||
        { echo "FAILED: docs/man/flinc.1 lacks action $action"; failures=1; }
done
current() {
    "$flinc" help "$2" "$3" >current
    cmp -s current "$source/$1" ||
        { echo "FAILED: $1 is not what 'flinc help $2 $3' prints; ./dev docs renews it"; failures=1; }
}
current docs/reference/configuration.md options --markdown
current completion/flinc.bash completion bash
current completion/_flinc completion zsh
expect 1 '' 'flinc help completion: name the shell*' "$flinc" help completion fish
expect 1 '' "flinc help options: '--all' is neither*" "$flinc" help options --all
expect 0 'parallelism.default' '' sh -c "'$flinc' help options --keys | head -n1"
for option in $("$flinc" help completion bash | sed -n 's/.*words="\(.*\)" ;;/\1/p' | tr ' ' '\n' | sort -u); do
    grep -qE -- "Fl ${option#-}( |$)" "$source/docs/man/flinc.1" ||
        { echo "FAILED: docs/man/flinc.1 lacks option $option"; failures=1; }
done

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
