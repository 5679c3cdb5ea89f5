# usage: awk -v window=SECONDS -f access_log.awk LOG: what examples/access_log.c must print for a log, in any order, and
# the number of malformed lines on standard error. Written apart from the example: a regular expression for the whole
# line, and its own calendar.
function days_before(year, month, day) { # days from 1970-01-01 to this date
    if (month <= 2) { year--; month += 12 }
    return 365 * year + int(year / 4) - int(year / 100) + int(year / 400) + int((153 * (month - 3) + 2) / 5) + day - 719469
}
function month_length(year, month) {
    if (month == 2)
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31
}
function date_of(day_number,   year, month) { # YYYY-MM-DD
    year = 1970 + int(day_number / 366)
    while (days_before(year + 1, 1, 1) <= day_number) year++
    day_number -= days_before(year, 1, 1)
    for (month = 1; day_number >= month_length(year, month); month++) day_number -= month_length(year, month)
    return sprintf("%04d-%02d-%02d", year, month, day_number + 1)
}
BEGIN {
    split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", names, " ")
    for (i in names) number[names[i]] = i + 0
}
{
    if ($0 !~ /^[^ ]+ .*\[[0-9][0-9]\/[A-Z][a-z][a-z]\/[0-9][0-9][0-9][0-9]:[0-9][0-9]:[0-9][0-9]:[0-9][0-9] [-+][0-9][0-9][0-9][0-9]\] "([^"\\]|\\.)*" [0-9][0-9][0-9]( |$)/) {
        malformed++
        next
    }
    match($0, /\[[^]]*\]/)
    split(substr($0, RSTART + 1, RLENGTH - 2), t, /[\/: ]/)
    if (!(t[2] in number) || t[1] < 1 || t[1] > month_length(t[3], number[t[2]]) || t[4] > 23 || t[5] > 59 || t[6] > 59) {
        malformed++
        next
    }
    zone = substr(t[7], 2, 2) * 3600 + substr(t[7], 4, 2) * 60
    seconds = days_before(t[3], number[t[2]], t[1]) * 86400 + t[4] * 3600 + t[5] * 60 + t[6]
    seconds += substr(t[7], 1, 1) == "+" ? -zone : zone
    count[seconds - seconds % window, $1]++
}
END {
    for (key in count) {
        split(key, part, SUBSEP)
        day = int(part[1] / 86400)
        rest = part[1] - day * 86400
        printf "%s %02d:%02d:%02d %s %d\n", date_of(day), int(rest / 3600), int(rest / 60) % 60, rest % 60, part[2],
            count[key]
    }
    printf "%d\n", malformed >"/dev/stderr"
}
